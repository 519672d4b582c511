"""What channels of messages need beyond a verdict: opt-out, language, help once a day, silence, caps, late replies.

A text is paid for and can be answered by a machine, so everything here errs towards saying less.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.core.errors import StoreUnavailable
from app.core.model.value import value
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.ports.clock import Clock
from app.core.ports.correspondence import Change, Correspondence, Correspondent, NoticeKind
from app.core.ports.journal import Journal
from app.core.ports.outbox import Outbox
from app.core.ports.spending import Spend, Spending
from channels.asking import Asking
from channels.once import Once, Said
from channels.turns import CodeSubmitted, CommandGiven, DeliveryReport, Envelope
from channels.wording.notices import NoticeWords
from channels.wording.reply import Wording

_DAY: Final = timedelta(days=1)
_TOLD_ONCE_IN: Final = timedelta(hours=1)  # every refusal passes in minutes, and each would be told anew
_OWE_WITHIN_S: Final = 3.0
_LATER: Final = frozenset({Detail.DEADLINE, Detail.BUSY, Detail.NOT_RECORDED})


@value
class _Ids:
    """What a message is known by: 16 bytes, and as many for its second id where it has one."""

    key: bytes
    alias: bytes | None

    @property
    def both(self) -> tuple[bytes, ...]:
        return (self.key,) if self.alias is None else (self.key, self.alias)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStores:
    """What is kept about messages and the people who write them."""

    outbox: Outbox
    correspondence: Correspondence
    spending: Spending


class Messages:
    """Answers one message. ``nudge`` wakes whoever delivers the outbox."""

    def __init__(
        self,
        *,
        asking: Asking,
        stores: MessageStores,
        wording: Wording,
        journal: Journal,
        clock: Clock,
        nudge: Callable[[], None],
    ) -> None:
        self._asking = asking
        self._outbox = stores.outbox
        self._correspondence = stores.correspondence
        self._spending = stores.spending
        self._wording = wording
        self._journal = journal
        self._clock = clock
        self._nudge = nudge
        self._answering: Once[str] = Once()
        self._owing: Once[bool] = Once()
        self._said = Said()

    async def answer(self, channel: str, turn: CodeSubmitted | CommandGiven, *, deadline_ms: int) -> str:
        """Return the text to say in the response, "" to say nothing there.

        Raises ``StoreUnavailable`` where nothing could be kept and the provider must deliver the message again.
        """
        envelope = turn.envelope
        if envelope is None:
            raise TypeError("only a message with its envelope can be answered here")
        engine, alias = self._asking.engine, None
        if envelope.alias_id is not None:
            alias = engine.message_key(channel, envelope.account, envelope.alias_id)
        ids = _Ids(key=engine.message_key(channel, envelope.account, envelope.message_id), alias=alias)
        return await self._answering.share(
            ids.both, lambda: self._answer(channel, turn, envelope, ids, deadline_ms=deadline_ms)
        )

    async def _answer(
        self,
        channel: str,
        turn: CodeSubmitted | CommandGiven,
        envelope: Envelope,
        ids: _Ids,
        *,
        deadline_ms: int,
    ) -> str:
        try:
            known = await self._correspondence.find(envelope.caller, now=self._clock.now())
        except StoreUnavailable:
            if not envelope.in_band:
                raise
            known = Correspondent()
        if isinstance(turn, CommandGiven):
            text = await self._obey(channel, turn, envelope, ids, known)
        else:
            locale = turn.chosen_locale or known.locale or turn.request.locale
            turn = replace(turn, request=replace(turn.request, locale=locale))
            text = await self._verify(channel, turn, envelope, ids, known, deadline_ms)
        if not text or envelope.in_band:
            return text
        if envelope.address is None:
            self._journal.counted("no_way_back", channel)
        elif await self._outbox.owe(
            ids.key, envelope.address, text=text, alias=ids.alias, now=self._clock.now()
        ):
            self._nudge()
        return ""

    async def note_delivery(self, channel: str, report: DeliveryReport) -> None:
        """Note what became of a pushed reply. Raises ``StoreUnavailable``."""
        known = await self._outbox.note_delivery(
            report.sender,
            provider_id=report.provider_id,
            reply_id=report.reply_id,
            state=report.state,
            now=self._clock.now(),
        )
        self._journal.counted(f"reply_{report.state}" if known else "report_of_no_reply", channel)

    # -- codes -----------------------------------------------------------------------------------------------

    async def _verify(
        self,
        channel: str,
        turn: CodeSubmitted,
        envelope: Envelope,
        ids: _Ids,
        known: Correspondent,
        deadline_ms: int,
    ) -> str:
        """Return the answer's text. Nothing is asked where nothing may be said: a first check must not be lost."""
        if known.opted_out or envelope.quiet:
            self._journal.counted("silent_opted_out", channel)
            return ""
        if said := self._said.find(ids.both):
            # whatever the store can tell now, the answer must not be pushed as well
            self._journal.counted("said_again", channel)
            return said
        started = self._clock.monotonic_s()
        asking, request = self._asking, turn.request
        verdict = await asking.find_answer(request, deadline_ms)
        duplicate = verdict is not None and verdict.outcome is not Outcome.UNAVAILABLE
        if verdict is None:
            admission = await asking.admit(turn.subjects)
            if not admission.allowed:
                verdict = await asking.refuse(request, admission)
        if verdict is None:
            if not self._may_spend(envelope, channel):
                return ""
            left_ms = deadline_ms - int((self._clock.monotonic_s() - started) * 1000)
            verdict = await asking.verify(request, turn.subjects, deadline_ms=max(left_ms, 1))
        asking.note(request, verdict, duplicate=duplicate, started_s=started)
        if verdict.outcome is Outcome.THROTTLED:
            return await self._tell_limit(channel, turn, envelope, ids, verdict)
        return await self._say(channel, turn, envelope, ids, verdict)

    async def _tell_limit(
        self, channel: str, turn: CodeSubmitted, envelope: Envelope, ids: _Ids, verdict: Verdict
    ) -> str:
        """Say politely that a limit holds, once, and be silent after that."""
        silence = max(timedelta(seconds=verdict.retry_after_s), _TOLD_ONCE_IN)
        if not await self._claims(envelope, NoticeKind.THROTTLED, ids.key, self._clock.now() + silence):
            return self._silent("silent_throttled", channel)
        if not envelope.in_band and await self._pushes_already(envelope, ids):
            return self._silent("silent_pushed", channel)
        if not self._may_spend(envelope, channel):
            return ""
        text = self._short(turn, verdict)
        if envelope.in_band:
            self._said.note(ids.both, text)
        return text

    async def _say(
        self, channel: str, turn: CodeSubmitted, envelope: Envelope, ids: _Ids, verdict: Verdict
    ) -> str:
        """Return the verdict's text, or "" where it comes later by itself."""
        late = verdict.outcome is Outcome.UNAVAILABLE and not _LATER.isdisjoint(verdict.reasons)
        if late or self._owing.is_under_way(ids.both):
            if await self._owe_answer(channel, turn, envelope, ids):
                return ""
            if not envelope.in_band:
                raise StoreUnavailable
            return self._short(turn, verdict)
        if not envelope.in_band or verdict.outcome is Outcome.UNAVAILABLE:
            return self._short(turn, verdict)
        if await self._pushes_already(envelope, ids):
            return self._silent("silent_pushed", channel)
        text = self._short(turn, verdict)
        self._said.note(ids.both, text)
        return text

    def _short(self, turn: CodeSubmitted, verdict: Verdict) -> str:
        return self._wording.reply(verdict, turn.request.locale, more_codes=turn.more_codes).short

    async def _owe_answer(self, channel: str, turn: CodeSubmitted, envelope: Envelope, ids: _Ids) -> bool:
        """Keep the question, to be answered and pushed later; True once that is committed, False if it failed.

        Raises ``StoreUnavailable`` where nobody knows: to say anything now could be the first of two answers.
        """
        address = envelope.address
        if address is None:
            return False

        async def owe() -> bool:
            return await self._outbox.owe(
                ids.key,
                address,
                question=turn.request,
                more_codes=turn.more_codes,
                alias=ids.alias,
                now=self._clock.now(),
            )

        try:
            async with asyncio.timeout(_OWE_WITHIN_S):
                await self._owing.share(ids.both, owe)
        except StoreUnavailable as error:
            self._journal.failed("owe_failed", error)
            return False
        except TimeoutError as error:
            self._journal.failed("owe_unsure", error)
            raise StoreUnavailable("The question may have been kept. Deliver the message again.") from error
        self._journal.counted("answer_owed", channel)
        self._nudge()
        return True

    async def _pushes_already(self, envelope: Envelope, ids: _Ids) -> bool:
        """Tell whether this message's answer goes out by itself, so that a retry must not say it again."""
        if envelope.address is None:
            return False
        try:
            return await self._outbox.knows(ids.key, ids.alias)
        except StoreUnavailable:
            return False

    # -- everything else -------------------------------------------------------------------------------------

    async def _obey(
        self, channel: str, turn: CommandGiven, envelope: Envelope, ids: _Ids, known: Correspondent
    ) -> str:
        """Do what a command says, and return what to say about it. An opt-out is kept whatever the limits say."""
        now = self._clock.now()
        locale = known.locale or turn.locale
        changed: Change | None = None
        words, once = NoticeWords.HELP, NoticeKind.HELP
        if turn.kind == "opt_out":
            changed, words, once = Change(opted_out=True), NoticeWords.OPTED_OUT, NoticeKind.OPTED_OUT
        elif turn.kind == "opt_in":
            changed, words = Change(opted_out=False), NoticeWords.OPTED_IN
        elif turn.kind == "language":
            locale = turn.argument
            changed, words = Change(locale=locale), NoticeWords.LANGUAGE
        if changed is not None:
            holds = await self._correspondence.change(
                envelope.caller, changed, message_key=ids.key, alias_key=ids.alias, now=now
            )
            if holds != known:
                self._journal.counted(turn.kind, channel)
            known = holds
        if envelope.quiet or (known.opted_out and turn.kind != "opt_out"):
            return self._silent("silent_opted_out", channel)
        if not (await self._asking.admit(envelope.subjects)).allowed:
            return self._silent("silent_throttled", channel)
        if words in {NoticeWords.HELP, NoticeWords.OPTED_OUT} and not await self._claims(
            envelope, once, ids.key, now + _DAY
        ):
            return self._silent("silent_told_before", channel)
        if not self._may_spend(envelope, channel):
            return ""
        return self._wording.notice(words, locale).short

    async def _claims(self, envelope: Envelope, kind: NoticeKind, key: bytes, until: datetime) -> bool:
        try:
            return await self._correspondence.claim_notice(
                envelope.caller, kind, message_key=key, now=self._clock.now(), until=until
            )
        except StoreUnavailable as error:
            self._journal.failed("claim_notice_failed", error)
            return False

    def _may_spend(self, envelope: Envelope, channel: str) -> bool:
        spend = self._spending.spend(channel, envelope.caller.token or b"")
        if spend is not Spend.ALLOWED:
            self._journal.counted(f"silent_{spend}", channel)
        return spend is Spend.ALLOWED

    def _silent(self, why: str, channel: str) -> str:
        self._journal.counted(why, channel)
        return ""
