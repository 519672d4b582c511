"""Encrypted envelopes by wechatpy: AES-CBC under the key of the console, with the AppID inside.

The library begins every text with random characters. Here they are a keyed digest of what is sealed, so that equal
requests get equal bytes and unequal texts still begin unlike (as the synthetic IV of RFC 5297 does).
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass, field
from hmac import digest
from typing import Final

from wechatpy.crypto import PrpCrypto, WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException

from app.core.errors import NotAuthentic, SettingsInvalid

_PREFIX_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What an envelope held, and the number of the key that opened it."""

    text: str = field(repr=False)
    key: int


class MessageKeys:
    """The keys of one account, one or two while they change, and the AppID that stands in every envelope.

    Raises ``SettingsInvalid`` for a key that is not 43 characters of Base64.
    """

    def __init__(self, aes_keys: tuple[str, ...], app_id: str, *, account: str) -> None:
        self._app_id = app_id
        try:
            self._keys = tuple(bytes(WeChatCrypto("", key, app_id).key) for key in aes_keys)
        except (binascii.Error, AssertionError, ValueError):
            raise SettingsInvalid(
                f"wechat: the encoding_aes_key of {account} has 43 letters and digits; copy it from the console."
            ) from None
        self._openers = tuple(PrpCrypto(key) for key in self._keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def unseal(self, encrypted: str) -> Unsealed:
        """Return what the first key opens that can. Raises ``NotAuthentic`` where none can or the AppID is another."""
        for number, opener in enumerate(self._openers):
            try:
                return Unsealed(text=str(opener.decrypt(encrypted, self._app_id)), key=number)
            except (InvalidAppIdException, ValueError, struct.error, IndexError):
                continue  # another key's envelope opens to noise
        raise NotAuthentic("The envelope opens with none of the account's keys, or names another AppID.")

    def seal(self, text: str, *, key: int = 0, about: str = "") -> str:
        """Return ``text`` encrypted under the key of that number; equal for equal ``text`` and ``about``."""
        secret = self._keys[key]
        prefix = digest(secret, f"{len(about)}:{about}{text}".encode(), "sha256")[:_PREFIX_BYTES]
        sealer = _Sealer(secret, prefix)
        return bytes(sealer.encrypt(text, self._app_id)).decode("ascii")


class _Sealer(PrpCrypto):  # type: ignore[misc]  # the library is without types
    """The library's cipher with a beginning that is given."""

    def __init__(self, key: bytes, prefix: bytes) -> None:
        super().__init__(key)
        self._prefix = prefix

    def get_random_string(self) -> bytes:
        return self._prefix
