"""All that is used of wechatpy: its cipher, its message classes and its cards.

Importing it loads an HTTP client that is never used and tries an IPv6 socket, a fifth of a second in all: so the
modules of this folder import this one when they first need it, and a service without an account never does.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

from wechatpy import events as events  # noqa: PLC0414 - for the folder
from wechatpy import messages as messages  # noqa: PLC0414 - for the folder
from wechatpy.crypto import PrpCrypto
from wechatpy.replies import ArticlesReply

_BLOCK: Final = 16  # of AES
_PADDED_TO: Final = 32
_LENGTH: Final = struct.Struct("!I")


class Cipher:
    """The platform's envelope under one key of 32 bytes, with ``app_id`` in it: AES-256-CBC, which begins with the
    key's first half. Not for use by several threads.

    It opens and seals what the library's cipher does (a test holds the two together), which makes a context for each.
    """

    def __init__(self, key: bytes, app_id: str) -> None:
        self._app_id = app_id.encode()
        cipher = PrpCrypto(key).cipher.cipher
        self._decryptor, self._encryptor = cipher.decryptor(), cipher.encryptor()
        self._start = self._last = int.from_bytes(key[:_BLOCK], "big")

    def unseal(self, encrypted: str) -> str | None:
        """Return what is in an envelope, None where this key does not open it or it names another AppID."""
        try:
            sealed = b64decode(encrypted.encode())
            if not sealed or len(sealed) % _BLOCK:
                return None
            # What stood before a block changes its own text alone, and the first block holds random characters: so the
            # context may go on from the last envelope.
            plain: bytes = self._decryptor.update(sealed)
            content = plain[_BLOCK : -plain[-1]]
            (length,) = _LENGTH.unpack_from(content)
            text = content[_LENGTH.size : _LENGTH.size + length].decode()
        except (ValueError, struct.error):  # another key's envelope opens to noise
            return None
        return text if content[_LENGTH.size + length :] == self._app_id else None

    def seal(self, text: str, prefix: bytes) -> str:
        """Return ``text`` in an envelope that begins with ``prefix``, 16 bytes, instead of random characters."""
        said = text.encode()
        content = b"".join((_LENGTH.pack(len(said)), said, self._app_id))
        padding = _PADDED_TO - (_BLOCK + len(content)) % _PADDED_TO
        # The context goes on from its last block, and the first one is to be sealed as after the start: so both are
        # taken out of it beforehand (NIST SP 800-38A, 6.2).
        first = int.from_bytes(prefix, "big") ^ self._start ^ self._last
        sealed: bytes = self._encryptor.update(
            first.to_bytes(_BLOCK, "big") + content + bytes((padding,)) * padding
        )
        self._last = int.from_bytes(sealed[-_BLOCK:], "big")
        return b64encode(sealed).decode("ascii")


def message_of(kind: str, fields: Mapping[str, object]) -> messages.BaseMessage:
    """Return the library's message of a ``MsgType`` in lower case, an ``UnknownMessage`` for one it does not know."""
    return messages.MESSAGE_TYPES.get(kind, messages.UnknownMessage)(dict(fields))


def event_of(name: str, fields: Mapping[str, object]) -> messages.BaseMessage:
    """Return the library's event of that name in lower case, an ``UnknownMessage`` for one it does not know."""
    return events.EVENT_TYPES.get(name, messages.UnknownMessage)(dict(fields))


def card_document(*, source: str, target: str, time: int, article: Mapping[str, str]) -> str:
    """Return the XML of one card of title, description, image and url, written into CDATA as they are given."""
    return str(ArticlesReply(source=source, target=target, time=time, articles=[dict(article)]).render())
