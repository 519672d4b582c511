"""The smallest whole channel: plain text in, one text message out, a shared secret in a header.

It is the example of docs/adding-a-channel.md: one folder and one registry line.
"""

from __future__ import annotations

import hmac

from app.core.errors import NotAuthentic, Undecodable
from app.core.model.caller import CallerKind
from app.core.model.code import read_codes
from app.core.model.verification import Record, VerificationRequest
from channels.base import (
    ChannelContext,
    ChannelManifest,
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
    Route,
)
from channels.turns import CodeSubmitted, ThrottleSubject, Turn
from channels.wording.reply import Reply

SECRET = "a-shared-secret"


class ToyAdapter:
    """Body: the sender on the first line, the message id on the second, then the text."""

    manifest = ChannelManifest(name="toy", deadline_ms=5000, how_to_ask="send {code} to the toy gateway")

    def __init__(self, context: ChannelContext) -> None:
        self._identities = context.identities
        self._lengths = context.lengths

    def routes(self) -> tuple[Route, ...]:
        return (Route(method="POST", path="/toy"),)

    def authenticate(self, request: InboundRequest) -> None:
        if not hmac.compare_digest(request.headers.get("x-toy-secret", ""), SECRET):
            raise NotAuthentic

    def decode(self, request: InboundRequest) -> Turn:
        try:
            sender, message_id, text = request.body.decode("utf-8").split("\n", 2)
        except ValueError:
            raise Undecodable from None
        reading = read_codes(text, lengths=self._lengths())
        caller = self._identities.caller(CallerKind.PHONE, sender)
        return CodeSubmitted(
            request=VerificationRequest(
                code=reading.code,
                caller=caller,
                channel="toy",
                message_id=f"{message_id}\n{reading.code.digits}",
                locale=request.headers.get("x-toy-locale", "zh-CN"),
                received_at=request.received_at,
                other_readings=reading.others,
            ),
            subjects=(ThrottleSubject("phone", caller.token or "withheld"),),
            more_codes=reading.more_codes,
        )

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        return OutboundResponse(status=200, body=reply.short.encode() if reply else b"")

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        status = 403 if refusal.kind is RefusalKind.NOT_AUTHENTIC else 400
        return OutboundResponse(status=status, body=b"refused")


def make_adapters(context: ChannelContext) -> tuple[ToyAdapter]:
    """Return the adapter; the registry names this factory."""
    return (ToyAdapter(context),)
