"""Sealing under the key file: AES-256-GCM with a random nonce, under a key derived from one of its secrets.

The key's id goes in front, so that values sealed under an older secret can be opened while that secret is kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_INFO: Final = b"yanzhen outbox v1"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_OVERHEAD: Final = 1 + _NONCE_BYTES + _TAG_BYTES


class AesGcmSealing:
    """The ``Sealing`` of a key file: ``keys`` are 32-byte secrets by id (1 to 255), the highest id seals.

    Sealed: key id (1 byte), nonce (12, random), ciphertext, tag (16) by NIST SP 800-38D; the key id and ``about`` are
    authenticated. Keys by HKDF-SHA256 (RFC 5869) without salt. Random nonces are safe for 2^32 values a key (SP
    800-38D, section 8.3). Raises ``ValueError`` for no key, or keys or ids of another size.
    """

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        if not keys or not all(1 <= number <= 255 for number in keys):
            raise ValueError("sealing needs at least one key, with ids from 1 to 255")
        if any(len(key) != _KEY_BYTES for key in keys.values()):
            raise ValueError(f"a sealing key has {_KEY_BYTES} bytes")
        self._ciphers = {
            number: AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=None, info=_INFO).derive(key))
            for number, key in keys.items()
        }
        self._current = max(keys)

    def seal(self, plain: bytes, *, about: bytes) -> bytes:
        """Return ``plain`` sealed for ``about``: 29 bytes longer, different every time."""
        number, nonce = bytes([self._current]), secrets.token_bytes(_NONCE_BYTES)
        return number + nonce + self._ciphers[self._current].encrypt(nonce, plain, number + about)

    def open(self, sealed: bytes, *, about: bytes) -> bytes | None:
        """Return the plain bytes; None where it was changed, moved, cut or sealed under a key that is not here."""
        cipher = self._ciphers.get(sealed[0]) if len(sealed) >= _OVERHEAD else None
        if cipher is None:
            return None
        try:
            return cipher.decrypt(
                sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], sealed[:1] + about
            )
        except InvalidTag:
            return None
