"""What an incoming message asks for: a code, or one of the commands people know. The same for both kinds of account."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from app.core.model.caller import CallerKind
from app.core.model.code import Entry, Reading, read_codes
from app.core.model.reply import ReplyAddress
from app.core.model.verification import VerificationRequest
from channels.base import ChannelContext
from channels.reading import Meant, Understood, understand
from channels.turns import CodeSubmitted, CommandGiven, Envelope, Ignored, ThrottleSubject
from channels.wechat.incoming import Incoming, Located, Nothing, Scanned, Wanted, Written
from channels.wechat.settings import Account
from channels.wording.locales import DEFAULT_LOCALE

CHANNEL = "wechat"
MessageTurn = CodeSubmitted | CommandGiven | Ignored


class Meanings:
    """Turns of one account. ``in_band``: its responses carry the text. ``pushes``: replies can leave later."""

    def __init__(self, account: Account, context: ChannelContext, *, in_band: bool, pushes: bool) -> None:
        self._account = account
        self._identities = context.identities
        self._places = context.places
        self._lengths = context.lengths
        self._in_band = in_band
        self._pushes = pushes

    def turn(self, incoming: Incoming, received_at: datetime) -> MessageTurn:
        """Return what a message asks for."""
        if incoming.openid == incoming.account:
            return Ignored(why="from_ourselves")  # an echo would be answered for ever
        match incoming.content:
            case Nothing(why=why):
                return Ignored(why=why)
            case Wanted(kind=kind, argument=argument):
                return self._command(incoming, received_at, kind, argument)
            case Located() as located:
                return self._located(incoming, located, received_at)
            case Scanned(text=text, otherwise=otherwise):
                return self._scanned(incoming, text, otherwise, received_at)
            case Written(text=text):
                return self._written(incoming, text, received_at)

    def _written(self, incoming: Incoming, text: str, received_at: datetime) -> MessageTurn:
        understood = understand(text, media=False, lengths=self._lengths())
        locale = understood.locale or DEFAULT_LOCALE
        if understood.reading is not None:
            return self._submitted(incoming, understood.reading, understood, received_at)
        if understood.kind is Meant.LANGUAGE:
            return self._command(incoming, received_at, "language", understood.argument, locale=locale)
        # words that stop text messages mean nothing here, where people unfollow
        return self._command(incoming, received_at, "help", locale=locale)

    def _scanned(
        self, incoming: Incoming, text: str, otherwise: str, received_at: datetime
    ) -> CodeSubmitted | CommandGiven:
        lengths = self._lengths()
        reading = read_codes(text, entry=Entry.SCANNED, lengths=lengths)
        if len(reading.code.digits) in lengths or reading.others:
            return self._submitted(incoming, reading, None, received_at)
        return self._command(incoming, received_at, otherwise)

    def _located(self, incoming: Incoming, located: Located, received_at: datetime) -> CommandGiven | Ignored:
        place = self._places.locate_address(located.address) if located.address else ""
        if not place and math.isfinite(located.latitude) and math.isfinite(located.longitude):
            place = self._places.locate_point(located.latitude, located.longitude)
        if located.asked:
            return self._command(incoming, received_at, "place" if place else "help", place)
        if not place:
            return Ignored(why="place_unknown")
        return self._command(incoming, received_at, "place", place, quiet=True)

    def _command(
        self,
        incoming: Incoming,
        received_at: datetime,
        kind: str,
        argument: str = "",
        *,
        locale: str = DEFAULT_LOCALE,
        quiet: bool = False,
    ) -> CommandGiven:
        envelope = self._envelope(incoming, received_at)
        if quiet:
            envelope = replace(envelope, quiet=True)
        return CommandGiven(kind=kind, argument=argument, locale=locale, envelope=envelope)

    def _submitted(
        self, incoming: Incoming, reading: Reading, understood: Understood | None, received_at: datetime
    ) -> CodeSubmitted:
        envelope = self._envelope(incoming, received_at)
        return CodeSubmitted(
            request=VerificationRequest(
                code=reading.code,
                caller=envelope.caller,
                channel=CHANNEL,
                account=envelope.account,
                message_id=envelope.message_id,
                scope=self._account.brands,
                locale=(understood.locale if understood else "") or DEFAULT_LOCALE,
                received_at=received_at,
                other_readings=reading.others,
            ),
            subjects=envelope.subjects,
            more_codes=reading.more_codes,
            chosen_locale=understood.argument if understood else "",
            envelope=envelope,
        )

    def _envelope(self, incoming: Incoming, received_at: datetime) -> Envelope:
        """Return the message as such. Its id is made of the caller's token: an openid stands in no record, and two
        people's messages never share an answer.
        """
        caller = self._identities.caller(CallerKind.WECHAT, f"{self._account.app_id}/{incoming.openid}")
        token = caller.token or b""
        address = None
        if self._pushes:
            address = ReplyAddress(sender=self._account.name, recipient=incoming.openid)
        return Envelope(
            caller=caller,
            account=self._account.name,
            message_id=f"{token.hex()}/{incoming.id}",
            address=address,
            in_band=self._in_band,
            subjects=(ThrottleSubject(CallerKind.WECHAT.value, token),),
            received_at=received_at,
        )
