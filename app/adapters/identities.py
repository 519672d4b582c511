"""Callers as keyed tokens, and the ids of result pages as one encrypted block.

Result ids are derived by encryption rather than stored, so they cost no index on the hot path.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.core.model.caller import Caller, CallerKind
from app.core.model.verdict import VerificationId

_TOKEN_BYTES: Final = 16
_SEALED_CHARS: Final = 22
_PAD: Final = bytes(8)
_BLOCK_BYTES: Final = 64  # of SHA-256
_MIN_KEY_BYTES: Final = 16
_MOST_STATE_CHARS: Final = 1024


class KeyedIdentities:
    """The ``Identities`` of a key file: ``caller_key`` (16 bytes or more) and ``result_key`` (32 bytes).

    ``caller_key_id`` goes with every token, so that tokens of an older key can be told apart. Raises ``ValueError``
    for keys of another length. Not for use by several threads at once.
    """

    def __init__(self, *, caller_key: bytes, result_key: bytes, caller_key_id: int = 1) -> None:
        if len(caller_key) < _MIN_KEY_BYTES:
            raise ValueError("the caller key must have at least 16 bytes")
        if len(result_key) != 32:
            raise ValueError("the result key must have 32 bytes")
        # RFC 2104: the key's two blocks are hashed once, which takes two thirds off every token
        block = (caller_key if len(caller_key) <= _BLOCK_BYTES else sha256(caller_key).digest()).ljust(
            _BLOCK_BYTES, b"\0"
        )
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))
        self._caller_key_id = caller_key_id
        # One block and no chaining: ECB over a single block is the bare permutation, and its contexts keep no state.
        cipher = Cipher(AES(result_key), ECB())  # noqa: S305
        self._seal = cipher.encryptor()
        self._open = cipher.decryptor()
        self._result_key = result_key
        state_key = HKDF(SHA256(), 64, salt=None, info=b"yanzhen state v1").derive(result_key)
        self._states = AESSIV(state_key)

    def caller(self, kind: CallerKind, identity: str) -> Caller:
        """Return the caller of a normalised identity: HMAC-SHA256 over kind NUL identity, first 16 bytes (RFC 2104)."""
        if not identity:
            return Caller(kind=kind)
        message = f"{kind.value}\0{identity}".encode("utf-8", "surrogatepass")
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return Caller(kind=kind, token=outer.digest()[:_TOKEN_BYTES], key_id=self._caller_key_id)

    def seal_result(self, verification_id: VerificationId) -> str:
        """Return 22 characters of URL-safe base64: AES-256 over the 8-byte id and 8 fixed zero bytes (FIPS 197)."""
        block = self._seal.update(verification_id.to_bytes(8, "big") + _PAD)
        return urlsafe_b64encode(block)[:_SEALED_CHARS].decode("ascii")

    def open_result(self, sealed: str) -> VerificationId | None:
        """Return the record's id, or None for a string that this key did not seal."""
        if len(sealed) != _SEALED_CHARS or not sealed.isascii():
            return None
        try:
            block = urlsafe_b64decode(sealed + "==")
        except ValueError:
            return None
        # Decoding ignores strange characters and the last four bits; only the one spelling we gave out counts.
        if len(block) != 16 or urlsafe_b64encode(block)[:_SEALED_CHARS].decode("ascii") != sealed:
            return None
        plain = self._open.update(block)
        if not hmac.compare_digest(plain[8:], _PAD):
            return None
        return VerificationId(int.from_bytes(plain[:8], "big"))

    def seal_state(self, plain: bytes, *, about: str) -> str:
        """Return ``plain`` under AES-SIV (RFC 5297), which needs no nonce, as URL-safe base64 without padding."""
        sealed = self._states.encrypt(plain, [about.encode("utf-8", "surrogatepass")])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def open_state(self, sealed: str, *, about: str) -> bytes | None:
        """Return what :meth:`seal_state` sealed for ``about``; None for any other spelling or text."""
        if len(sealed) > _MOST_STATE_CHARS or not sealed.isascii():
            return None
        try:
            block = urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
            if urlsafe_b64encode(block).rstrip(b"=").decode("ascii") != sealed:
                return None
            return self._states.decrypt(block, [about.encode("utf-8", "surrogatepass")])
        except (InvalidTag, ValueError):
            return None

    def secret(self, purpose: str) -> bytes:
        """Return HKDF-SHA256 of the result key for ``purpose`` (RFC 5869)."""
        info = f"yanzhen secret v1 {purpose}".encode()
        return HKDF(SHA256(), 32, salt=None, info=info).derive(self._result_key)
