"""SMPP 3.4 as a dialect of text messages: what the link brings becomes texts and receipts; replies are pushed."""

from __future__ import annotations

import secrets
from hmac import compare_digest
from typing import Final

from app.core.errors import NotAuthentic, Undecodable
from channels.abilities import Listener, Sender
from channels.base import Clock, InboundRequest, OutboundResponse, Refusal, RefusalKind, Route
from channels.sms.dialect import IncomingText
from channels.sms.settings import SmppOptions
from channels.sms.smpp.bringing import MEDIA, PATH, REPORT, TEXT
from channels.sms.smpp.link import SmppLink
from channels.sms.smpp.receipts import read_receipt
from channels.sms.smpp.session import Pace
from channels.turns import DeliveryReport, Ignored

_STATUS: Final = {
    RefusalKind.NOT_AUTHENTIC: 403,
    RefusalKind.MALFORMED: 400,
    RefusalKind.TOO_LARGE: 413,
}


class SmppDialect:
    """One message centre. Raises ``SettingsInvalid`` for options that SMPP has no room for."""

    name: str = PATH
    in_band: bool = False
    reply_by: str = PATH

    def __init__(
        self, options: SmppOptions, *, clock: Clock, pace: Pace | None = None, token: str | None = None
    ) -> None:
        self._token = token or secrets.token_hex(32)
        self._addresses = frozenset(address.lstrip("+") for address in options.addresses if address)
        self._link = SmppLink(options, clock=clock, token=self._token, pace=pace or Pace())

    def routes(self) -> tuple[Route, ...]:
        """Return nothing: a centre does not call us, we call it."""
        return ()

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` unless the request was made by our own link in this process."""
        shown = request.headers.get("link", "")
        if not compare_digest(shown.encode("utf-8", "replace"), self._token.encode()):
            raise NotAuthentic

    def decode(self, request: InboundRequest) -> tuple[IncomingText | DeliveryReport | Ignored, ...]:
        """Return the one text or receipt. Raises ``Undecodable`` for what the link does not make."""
        kind = request.headers.get("kind", "")
        if kind == REPORT:
            return (_read_report(request),)
        if kind not in (TEXT, MEDIA):
            raise Undecodable
        return (self._read_text(request, is_media=kind == MEDIA),)

    def say(self, request: InboundRequest, text: str) -> OutboundResponse:
        """Acknowledge; a text cannot go with it."""
        return OutboundResponse(status=200)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return a status: the centre brings again what was refused, except what is malformed."""
        return OutboundResponse(status=_STATUS.get(refusal.kind, 503), body=refusal.kind.value.encode())

    def senders(self) -> tuple[Sender, ...]:
        """Return the link."""
        return (self._link,)

    def listeners(self) -> tuple[Listener, ...]:
        """Return the link."""
        return (self._link,)

    @property
    def link(self) -> SmppLink:
        """The link itself, which knows whether it is bound."""
        return self._link

    def _read_text(self, request: InboundRequest, *, is_media: bool) -> IncomingText | Ignored:
        headers = request.headers
        try:
            text = request.body.decode("utf-8")
            sender, ours, message_id = headers["from"], headers["to"], headers["message-id"]
        except (KeyError, UnicodeDecodeError) as broken:
            raise Undecodable from broken
        if self._addresses and ours.lstrip("+") not in self._addresses:
            return Ignored(why="not_our_number")
        return IncomingText(
            sender=sender,
            ours=ours,
            text=text,
            message_id=message_id,
            alias_id=headers.get("alias-id", ""),
            media=is_media,
        )


def _read_report(request: InboundRequest) -> DeliveryReport | Ignored:
    state = request.headers.get("message-state", "")
    receipt = read_receipt(
        request.body.decode("utf-8", "replace"),
        message_id=request.headers.get("message-id", ""),
        state=int(state) if state.isdecimal() else None,
    )
    if receipt is None:
        return Ignored(why="receipt_says_nothing")
    provider_id, delivery = receipt
    return DeliveryReport(sender=PATH, provider_id=provider_id, state=delivery)
