"""Text messages as a channel: what a dialect brings becomes a turn. One adapter a provider, all called ``sms``.

A number is one caller on every provider and on the hotline, so it is spelled in one way before its token is made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from app.core.model.caller import CallerKind
from app.core.model.reply import ReplyAddress
from app.core.model.verification import Record, VerificationRequest
from channels.abilities import Listener, Sender
from channels.base import ChannelContext, ChannelManifest, InboundRequest, OutboundResponse, Refusal, Route
from channels.reading import Meant, understand
from channels.sms.dialect import Dialect, IncomingText
from channels.sms.providers import make_dialects
from channels.turns import (
    CodeSubmitted,
    CommandGiven,
    DeliveryReport,
    Envelope,
    Ignored,
    Several,
    ThrottleSubject,
    Turn,
)
from channels.wording.locales import DEFAULT_LOCALE, reads_chinese
from channels.wording.reply import Reply

_OWN_NUMBERS: Final = 256


class SmsAdapter:
    """One provider's texts. See ``channels/sms/README.md``."""

    def __init__(self, dialect: Dialect, context: ChannelContext) -> None:
        self.manifest = ChannelManifest(
            name="sms",
            deadline_ms=10_000,
            how_to_ask='{yanzhen} simulate sms "{code}"',
            pushes=bool(dialect.senders()),
            listens=bool(dialect.listeners()),
        )
        self._dialect = dialect
        self._identities = context.identities
        self._places = context.places
        self._lengths = context.lengths
        # our own numbers are few, and short codes cost ten times what a shopper's number does
        self._normalise_ours = lru_cache(maxsize=_OWN_NUMBERS)(context.places.normalise)

    def routes(self) -> tuple[Route, ...]:
        """Return the provider's addresses; none for one that is listened to."""
        return self._dialect.routes()

    def senders(self) -> tuple[Sender, ...]:
        """Return the ways out."""
        return self._dialect.senders()

    def listeners(self) -> tuple[Listener, ...]:
        """Return the connections that bring texts by themselves."""
        return self._dialect.listeners()

    def authenticate(self, request: InboundRequest) -> None:
        """Raise ``NotAuthentic`` unless the provider proves itself."""
        self._dialect.authenticate(request)

    def decode(self, request: InboundRequest) -> Turn:
        """Return the turn, or several. Raises ``Undecodable``."""
        turns = tuple([self._turn(item, request) for item in self._dialect.decode(request)])
        return turns[0] if len(turns) == 1 else Several(turns=turns)

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        """Return the response that says the reply, or acknowledges."""
        return self.say(request, reply.short if reply is not None else "")

    def say(self, request: InboundRequest, text: str, reply: Reply | None = None) -> OutboundResponse:
        """Return the response that says ``text``, or acknowledges."""
        return self._dialect.say(request, text)

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        """Return the provider's form of a refusal."""
        return self._dialect.refuse(refusal)

    def _turn(
        self, item: IncomingText | DeliveryReport | Ignored, request: InboundRequest
    ) -> CodeSubmitted | CommandGiven | DeliveryReport | Ignored:
        if not isinstance(item, IncomingText):
            return item
        number = self._places.normalise(item.sender)
        if not number:
            return Ignored(why="no_sender")
        if number == self._normalise_ours(item.ours):
            return Ignored(why="from_ourselves")  # an echo would be answered for ever
        meant = understand(item.text, media=item.media, lengths=self._lengths())
        locale = meant.locale or (DEFAULT_LOCALE if reads_chinese(number) else "en")
        envelope = self._envelope(item, number, request)
        if item.opted:
            return CommandGiven(kind=f"opt_{item.opted}", locale=locale, envelope=envelope)
        if meant.kind is not Meant.CODE or meant.reading is None:
            return CommandGiven(
                kind=meant.kind.value, argument=meant.argument, locale=locale, envelope=envelope
            )
        reading = meant.reading
        return CodeSubmitted(
            request=VerificationRequest(
                code=reading.code,
                caller=envelope.caller,
                channel=self.manifest.name,
                account=envelope.account,
                message_id=item.message_id,
                alias_id=envelope.alias_id,
                locale=locale,
                received_at=request.received_at,
                place=self._places.locate(number),
                other_readings=reading.others,
            ),
            subjects=envelope.subjects,
            more_codes=reading.more_codes,
            chosen_locale=meant.argument,
            envelope=envelope,
        )

    def _envelope(self, item: IncomingText, number: str, request: InboundRequest) -> Envelope:
        dialect = self._dialect
        caller = self._identities.caller(CallerKind.PHONE, number)
        token = caller.token or b""
        address = None
        if dialect.reply_by:
            address = ReplyAddress(sender=dialect.reply_by, recipient=number, ours=item.ours)
        return Envelope(
            caller=caller,
            account=dialect.name,
            message_id=item.message_id,
            alias_id=item.alias_id or None,
            address=address,
            in_band=dialect.in_band,
            quiet=bool(item.opted),
            subjects=(ThrottleSubject(CallerKind.PHONE.value, token),),
            received_at=request.received_at,
        )


def make_adapters(context: ChannelContext) -> tuple[SmsAdapter, ...]:
    """Return an adapter for each provider that is set up; the registry names this factory."""
    return tuple(SmsAdapter(dialect, context) for dialect in make_dialects(context))
