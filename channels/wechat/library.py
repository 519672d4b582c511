"""All that is used of wechatpy: its cipher, its message classes and its cards.

Importing it loads an HTTP client that is never used and tries an IPv6 socket, a fifth of a second in all: so the
modules of this folder import this one when they first need it, and a service without an account never does.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from wechatpy import events as events  # noqa: PLC0414 - for the folder
from wechatpy import messages as messages  # noqa: PLC0414 - for the folder
from wechatpy.crypto import PrpCrypto
from wechatpy.exceptions import InvalidAppIdException
from wechatpy.replies import ArticlesReply

# what the cipher raises where another key's envelope opens to noise
_NOISE: Final = (InvalidAppIdException, ValueError, struct.error, IndexError)


class Cipher:
    """The platform's envelope under one key of 32 bytes, with ``app_id`` in it. Not for use by several threads."""

    def __init__(self, key: bytes, app_id: str) -> None:
        self._app_id = app_id
        self._opener = PrpCrypto(key)
        self._sealer = _Sealer(key)

    def unseal(self, encrypted: str) -> str | None:
        """Return what is in an envelope, None where this key does not open it or it names another AppID."""
        try:
            return str(self._opener.decrypt(encrypted, self._app_id))
        except _NOISE:
            return None

    def seal(self, text: str, prefix: bytes) -> str:
        """Return ``text`` in an envelope that begins with ``prefix``, 16 bytes, instead of random characters."""
        self._sealer.prefix = prefix
        return bytes(self._sealer.encrypt(text, self._app_id)).decode("ascii")


class _Sealer(PrpCrypto):  # type: ignore[misc]  # the library is without types
    """The library's cipher, which asks this for the characters that an envelope begins with."""

    prefix = b""

    def get_random_string(self) -> bytes:
        return self.prefix


def message_of(kind: str, fields: Mapping[str, object]) -> messages.BaseMessage:
    """Return the library's message of a ``MsgType`` in lower case, an ``UnknownMessage`` for one it does not know."""
    return messages.MESSAGE_TYPES.get(kind, messages.UnknownMessage)(dict(fields))


def event_of(name: str, fields: Mapping[str, object]) -> messages.BaseMessage:
    """Return the library's event of that name in lower case, an ``UnknownMessage`` for one it does not know."""
    return events.EVENT_TYPES.get(name, messages.UnknownMessage)(dict(fields))


def card_document(*, source: str, target: str, time: int, article: Mapping[str, str]) -> str:
    """Return the XML of one card of title, description, image and url, written into CDATA as they are given."""
    return str(ArticlesReply(source=source, target=target, time=time, articles=[dict(article)]).render())
