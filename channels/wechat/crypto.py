"""Encrypted envelopes under the account's keys. One of two keys, while they change, opens what comes.

The platform's samples begin every text with random characters. Here they are a keyed digest of what is sealed, so that
equal requests get equal bytes and unlike texts begin unlike all the same (the idea of RFC 5297).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from app.core.errors import NotAuthentic, SettingsInvalid

_KEY_BYTES: Final = 32
_PREFIX_BYTES: Final = 16
_PREFIX_OF: Final = b"wechat reply"  # the key encrypts as well, so its other use is set apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What an envelope held, and the number of the key that opened it."""

    text: str = field(repr=False)
    key: int


class MessageKeys:
    """The keys of one account, as the console shows them, and the AppID that stands in every envelope.

    Raises ``SettingsInvalid`` for a key that is not 43 characters of Base64.
    """

    def __init__(self, aes_keys: tuple[str, ...], app_id: str, *, account: str) -> None:
        from channels.wechat.library import Cipher

        self._keys = tuple(_key_bytes(key, account) for key in aes_keys)
        self._ciphers = tuple(Cipher(key, app_id) for key in self._keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def unseal(self, encrypted: str) -> Unsealed:
        """Return what the first key opens that can. Raises ``NotAuthentic`` where none can or the AppID is another."""
        for number, cipher in enumerate(self._ciphers):
            text = cipher.unseal(encrypted)
            if text is not None:
                return Unsealed(text=text, key=number)
        raise NotAuthentic("The envelope opens with none of the account's keys, or names another AppID.")

    def seal(self, text: str, *, key: int = 0, about: str = "") -> str:
        """Return ``text`` encrypted under the key of that number; equal for equal ``text`` and ``about``."""
        sealed = f"{len(about)}:{about}{text}".encode()
        prefix = blake2b(sealed, key=self._keys[key], digest_size=_PREFIX_BYTES, person=_PREFIX_OF).digest()
        return self._ciphers[key].seal(text, prefix)


def _key_bytes(key: str, account: str) -> bytes:
    try:
        found = b64decode(f"{key}=")
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != _KEY_BYTES:
        raise SettingsInvalid(
            f"wechat: the encoding_aes_key of {account} has 43 letters and digits; copy it from the console."
        )
    return found
