"""One request of the platform, proved and opened; and its answer, closed as the request was.

What stands beside ``Encrypt`` is not signed: nothing is read there but the account's name, which must be that inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.value import value
from channels.base import InboundRequest, OutboundResponse
from channels.wechat.crypto import MessageKeys
from channels.wechat.documents import Fields, find_envelope, read_document, read_xml
from channels.wechat.settings import Account, Mode
from channels.wechat.signatures import Signatures, prove_fresh, sign

XML_TYPE: Final = "application/xml; charset=utf-8"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
_ENCRYPTED: Final = "aes"  # encrypt_type; "raw" or nothing is plain
_ECHO: Final = re.compile("[\x21-\x7e]{1,512}")
_REPLY: Final = (
    "<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt><MsgSignature><![CDATA[{signature}]]></MsgSignature>"
    "<TimeStamp>{timestamp}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>"
)


@value
class Opened:
    """A message as it was meant for us, and by what it proved itself: its answer is closed by the same.

    ``key`` is the number of the key that opened it, None where it came in the clear.
    """

    fields: Fields = field(repr=False)
    token: str = field(repr=False)
    key: int | None
    timestamp: str
    nonce: str


class Envelopes:
    """Opens and closes for one account. ``reads_json``: its platform may write JSON instead of XML.

    Raises ``SettingsInvalid`` for an account that could not tell the platform from anybody else.
    """

    def __init__(self, account: Account, *, reads_json: bool) -> None:
        self._mode = account.mode
        self._read = read_document if reads_json else read_xml
        self._signatures = Signatures(account.tokens, account=account.name)
        self._keys = MessageKeys(account.aes_keys, account.app_id, account=account.name)
        if self._mode is not Mode.PLAIN and not (self._keys and account.app_id):
            raise SettingsInvalid(
                f"wechat: {self._mode.value} mode of {account.name} needs encoding_aes_key and app_id."
            )

    def open(self, request: InboundRequest) -> Opened:
        """Return the message of a request. Raises ``NotAuthentic`` for what does not prove itself or is stale, and
        ``Undecodable`` for what does and cannot be read.
        """
        query = request.query
        timestamp, nonce, signature = _signed_parts(query, request)
        if query.get("encrypt_type", "") == _ENCRYPTED and self._mode is not Mode.PLAIN:
            return self._open_encrypted(request, timestamp, nonce)
        if self._mode is Mode.ENCRYPTED:
            raise NotAuthentic("The message is not encrypted, and the account is set up for encrypted mode.")
        token = self._signatures.prove(signature, timestamp=timestamp, nonce=nonce)
        fields = self._read(request.body)
        return Opened(fields=fields, token=token, key=None, timestamp=timestamp, nonce=nonce)

    def open_handshake(self, request: InboundRequest) -> str:
        """Return what the platform wants to see again. Raises ``NotAuthentic``, or ``Undecodable`` for no such text."""
        query = request.query
        timestamp, nonce, echo = _signed_parts(query, request)
        shown = query.get("echostr", "")
        if "msg_signature" in query and self._keys:
            self._signatures.prove(query["msg_signature"], timestamp=timestamp, nonce=nonce, encrypted=shown)
            shown = self._keys.unseal(shown).text
        else:
            self._signatures.prove(echo, timestamp=timestamp, nonce=nonce)
        if not _ECHO.fullmatch(shown):
            raise Undecodable("The platform's check carries no echostr.")
        return shown

    def close(self, opened: Opened, document: str) -> OutboundResponse:
        """Return the response that carries ``document``: encrypted exactly where the request was, under the key that
        opened it (the platform's technical plan for encrypted messages, point 5) and the token that signed it.
        """
        if opened.key is not None:
            encrypted = self._keys.seal(document, key=opened.key, about=f"{opened.timestamp}/{opened.nonce}")
            document = _REPLY.format(
                encrypted=encrypted,
                signature=sign(opened.token, opened.timestamp, opened.nonce, encrypted),
                timestamp=opened.timestamp,
                nonce=opened.nonce,
            )
        return OutboundResponse(status=200, body=document.encode(), content_type=XML_TYPE)

    def _open_encrypted(self, request: InboundRequest, timestamp: str, nonce: str) -> Opened:
        try:
            outside = find_envelope(request.body) or self._read(request.body)
        except Undecodable:
            raise NotAuthentic("The body cannot be read, so no signature can match it.") from None
        encrypted = outside.get("Encrypt")
        if not isinstance(encrypted, str) or not encrypted:
            raise NotAuthentic("The body holds nothing encrypted, so no signature can match it.")
        token = self._signatures.prove(
            request.query.get("msg_signature", ""), timestamp=timestamp, nonce=nonce, encrypted=encrypted
        )
        unsealed = self._keys.unseal(encrypted)
        fields = self._read(unsealed.text.encode())
        if outside.get("ToUserName") != fields.get("ToUserName"):
            raise NotAuthentic("The envelope is addressed to another account than the message in it.")
        return Opened(fields=fields, token=token, key=unsealed.key, timestamp=timestamp, nonce=nonce)


def _signed_parts(query: Mapping[str, str], request: InboundRequest) -> tuple[str, str, str]:
    """Return timestamp, nonce and plain signature. Raises ``NotAuthentic`` for a time that is none, or not now."""
    timestamp = query.get("timestamp", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        raise NotAuthentic("The address carries no timestamp.")
    prove_fresh(timestamp, request.received_at)
    return timestamp, query.get("nonce", ""), query.get("signature", "")
