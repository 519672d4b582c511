"""What this machine can do: the units that the ratios are read beside."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCKS_A_CODE: Final = 10
_CHUNK_BYTES: Final = 128 * 1024  # fits the second-level cache
_AES_S: Final = 0.3
_SYNCS: Final = 400


def fdatasync_described(folder: Path) -> str:
    """Return p50 and p99 of appending 4 KB and waiting for the device."""
    path = folder / "syncs"
    block = secrets.token_bytes(4096)
    took = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(_SYNCS):
            started = time.perf_counter()
            os.write(descriptor, block)
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()
    took.sort()
    return f"p50 {took[_SYNCS // 2] * 1e6:.0f} us, p99 {took[_SYNCS * 99 // 100] * 1e6:.0f} us"


def aes_ceiling() -> float:
    """Return the codes a second that AES-256-ECB alone would allow at ten blocks a code, one core."""
    encryptor = Cipher(algorithms.AES(secrets.token_bytes(32)), modes.ECB()).encryptor()
    source, into = bytes(_CHUNK_BYTES), bytearray(_CHUNK_BYTES + 16)
    done = 0
    started = time.perf_counter()
    while (took := time.perf_counter() - started) < _AES_S:
        encryptor.update_into(source, into)
        done += 1
    return done * _CHUNK_BYTES / 16 / BLOCKS_A_CODE / took
