"""What a provider's wire must be able to do. A dialect translates; what a text means is decided in ``reading``."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.core.model.value import value
from channels.abilities import Listener, Sender
from channels.base import InboundRequest, OutboundResponse, Refusal, Route
from channels.turns import DeliveryReport, Ignored


@value
class IncomingText:
    """One text message as a provider tells it, numbers as written there.

    ``message_id`` is the provider's, or a digest (:func:`channels.sms.digests.text_digest`) where it has none;
    ``alias_id`` is a second id of the same message ("" for none). ``sent_at`` is aware UTC, or None where the provider
    gives no time. ``media``: pictures came along. ``opted`` is "out" or "in" where the provider itself has taken an
    opt-out word and answered it.
    """

    sender: str
    ours: str
    text: str
    message_id: str
    alias_id: str = ""
    sent_at: datetime | None = None
    media: bool = False
    opted: str = ""


class Dialect(Protocol):
    """One provider. Synchronous, no I/O, deterministic; the senders and listeners do the talking.

    ``name`` is the account in recorded facts and the name of its sender. ``in_band``: the response to the provider
    carries the reply; otherwise every reply is pushed through ``reply_by``, the name of a sender ("" for none).
    """

    name: str
    in_band: bool
    reply_by: str

    def routes(self) -> tuple[Route, ...]: ...

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` for a request that does not prove where it comes from."""
        ...

    def decode(self, request: InboundRequest) -> tuple[IncomingText | DeliveryReport | Ignored, ...]:
        """Return what came; one bad item of several becomes ``Ignored``. Raises ``Undecodable`` for a broken whole."""
        ...

    def say(self, request: InboundRequest, text: str) -> OutboundResponse:
        """Return the response that says ``text``; where that is "", one that only acknowledges."""
        ...

    def refuse(self, refusal: Refusal) -> OutboundResponse: ...

    def senders(self) -> tuple[Sender, ...]: ...

    def listeners(self) -> tuple[Listener, ...]: ...
