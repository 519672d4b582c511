"""One account's webhooks: what official accounts and mini-programs have in common. Each says answers in its own way."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from app.core.errors import Undecodable
from app.core.model.value import value
from app.core.model.verification import Record
from channels.abilities import Sender
from channels.base import (
    ChannelContext,
    ChannelManifest,
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
    Route,
    TextForm,
)
from channels.turns import Handshake, Turn
from channels.wechat.answers import ACKNOWLEDGED
from channels.wechat.envelope import TEXT_TYPE, Envelopes, Opened
from channels.wechat.incoming import Incoming, read_incoming
from channels.wechat.meaning import CHANNEL, Meanings
from channels.wechat.settings import Account
from channels.wording.reply import Reply

_MAX_BODY_BYTES: Final = 16_384  # a text has at most 2,048 bytes, and Base64 and a plain copy treble them
_MOST_KEPT: Final = 64  # requests under way at once; one that is crowded out is opened again
# the platform delivers again after anything but 200, and after a third time tells the person that it failed
_REFUSED: Final[Mapping[RefusalKind, tuple[int, str]]] = MappingProxyType(
    {
        RefusalKind.NOT_AUTHENTIC: (403, "not authentic"),
        RefusalKind.MALFORMED: (400, "malformed"),
        RefusalKind.TOO_LARGE: (413, "too large"),
        RefusalKind.NOT_ALLOWED: (405, "method not allowed"),
        RefusalKind.UNKNOWN_ADDRESS: (404, "no such address"),
        RefusalKind.UNAVAILABLE: (503, "unavailable; deliver again"),
        RefusalKind.INTERNAL: (500, "internal error; deliver again"),
    }
)


@value
class Arrival:
    """What one request brought: the message as it was opened, and as it was read."""

    opened: Opened
    incoming: Incoming


class AccountAdapter:
    """One account. ``senders`` are its ways out, none without an AppSecret. Subclasses say answers.

    Raises ``SettingsInvalid`` for an account that could not tell the platform from anybody else.
    """

    def __init__(
        self,
        account: Account,
        context: ChannelContext,
        senders: tuple[Sender, ...] = (),
        *,
        in_band: bool,
        reads_json: bool,
    ) -> None:
        self.manifest = ChannelManifest(
            name=CHANNEL,
            deadline_ms=2_800,
            owe_ms=1_200,
            how_to_ask='{yanzhen} simulate wechat "{code}"',
            form=TextForm.CHAT,
            pushes=bool(senders),
        )
        self._account = account
        self._senders = senders
        self._arrivals: OrderedDict[int, tuple[InboundRequest, Arrival]] = OrderedDict()
        self._envelopes = Envelopes(account, reads_json=reads_json)
        self._meanings = Meanings(account, context, in_band=in_band, pushes=bool(senders))

    def routes(self) -> tuple[Route, ...]:
        """Return the account's address, for the platform's check of it and for messages."""
        path = self._account.path
        return (
            Route(method="GET", path=path),
            Route(method="POST", path=path, max_body_bytes=_MAX_BODY_BYTES),
        )

    def senders(self) -> tuple[Sender, ...]:
        """Return the ways out."""
        return self._senders

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` unless the platform signed it, lately, and, if encrypted, for this AppID."""
        try:
            if request.method == "GET":
                self._envelopes.open_handshake(request)
            else:
                self._arrive(request)
        except Undecodable:
            return  # it proves itself; ``decode`` says what is wrong with it

    def decode(self, request: InboundRequest) -> Turn:
        """Return the turn. Raises ``Undecodable``."""
        if request.method == "GET":
            return Handshake(answer=self._envelopes.open_handshake(request))
        return self._meanings.turn(self._arrive(request).incoming, request.received_at)

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        """Return the response that says the reply, shows the platform what it asked for, or acknowledges."""
        if isinstance(turn, Handshake):
            return OutboundResponse(status=200, body=turn.answer.encode(), content_type=TEXT_TYPE)
        return self.say(request, reply.chat if reply is not None else "", reply)

    def say(self, request: InboundRequest, text: str, reply: Reply | None = None) -> OutboundResponse:
        """Acknowledge; the text goes out by the customer-service API."""
        self._forget(request)
        return OutboundResponse(status=200, body=ACKNOWLEDGED, content_type=TEXT_TYPE)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return a bare status with a constant line: nobody but the platform reads it."""
        status, words = _REFUSED[refusal.kind]
        return OutboundResponse(status=status, body=words.encode(), content_type=TEXT_TYPE)

    def _arrive(self, request: InboundRequest) -> Arrival:
        """Return what a request brought. Raises ``NotAuthentic`` or ``Undecodable``.

        A request is asked for it when it is proved, read and answered, with others between: so the last ones are kept.
        They are known by the request itself, which is kept beside them: an equal one is proved by itself.
        """
        kept = self._arrivals.get(id(request))
        if kept is not None and kept[0] is request:
            return kept[1]
        opened = self._envelopes.open(request)
        arrival = Arrival(opened=opened, incoming=read_incoming(opened.fields))
        self._arrivals[id(request)] = (request, arrival)
        if len(self._arrivals) > _MOST_KEPT:
            self._arrivals.popitem(last=False)
        return arrival

    def _forget(self, request: InboundRequest) -> None:
        """Keep nothing of a request that is answered."""
        self._arrivals.pop(id(request), None)
