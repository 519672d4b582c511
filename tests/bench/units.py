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


class Neighbours:
    """How busy other programs kept this machine since this was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._busy = _strangers_s()

    def cores(self) -> float:
        """Return cores used on average by what is neither this process nor one that it started and waited for."""
        return max(0.0, (_strangers_s() - self._busy) / (time.perf_counter() - self._started))


def _strangers_s() -> float:
    """Return CPU seconds of the whole machine less our own, 0 where the system does not tell."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _io, irq, soft, steal = (int(field) for field in fields[:8])
    ours = sum(os.times()[:4])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK") - ours


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
