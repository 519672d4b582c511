"""What channels of messages need beyond a verdict: opt-out, language, help once a day, silence, caps, late replies.

A text is paid for and can be answered by a machine, so everything here errs towards saying less.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.core.errors import KeyFileInvalid, KeyMissing, StoreUnavailable
from app.core.model.reply import ReplyAddress
from app.core.model.value import value
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.ports.clock import Clock
from app.core.ports.correspondence import Change, Correspondence, Correspondent, NoticeKind
from app.core.ports.journal import Journal
from app.core.ports.outbox import Outbox
from app.core.ports.spending import Spend, Spending
from channels.asking import Asking
from channels.base import ChannelManifest, TextForm
from channels.once import Once, Said
from channels.turns import CodeSubmitted, CommandGiven, DeliveryReport, Envelope
from channels.window import Way
from channels.wording.locales import next_locale
from channels.wording.notices import NoticeWords
from channels.wording.reply import Reply, Wording

_DAY: Final = timedelta(days=1)
_TOLD_ONCE_IN: Final = timedelta(hours=1)  # every refusal passes in minutes, and each would be told anew
_NOTICES: Final = {words.value: words for words in NoticeWords} | {
    "opt_out": NoticeWords.OPTED_OUT,
    "opt_in": NoticeWords.OPTED_IN,
}
_ONCE_A_DAY: Final = {
    NoticeWords.HELP: NoticeKind.HELP,
    NoticeWords.WELCOME: NoticeKind.WELCOME,
    NoticeWords.OPTED_OUT: NoticeKind.OPTED_OUT,
}
_KEY_MISSING: Final = Verdict(outcome=Outcome.UNAVAILABLE, reasons=(Detail.KEY_MISSING,), retry_after_s=60)
_CANNOT_TELL: Final = Verdict(outcome=Outcome.UNAVAILABLE, reasons=(Detail.NOT_RECORDED,), retry_after_s=5)
_LATER: Final = frozenset({Detail.DEADLINE, Detail.BUSY, Detail.NOT_RECORDED})


@value
class _Ids:
    """What a message is known by: 16 bytes, and as many for its second id where it has one."""

    key: bytes
    alias: bytes | None

    @property
    def both(self) -> tuple[bytes, ...]:
        return (self.key,) if self.alias is None else (self.key, self.alias)


@value
class Saying:
    """What the response says: ``text``, "" for nothing, made of ``reply`` where it is an answer."""

    text: str = ""
    reply: Reply | None = None


_NOTHING: Final = Saying()


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
        self._answering: Once[Saying] = Once()
        self._owing: Once[bool] = Once()
        self._said: Said[Saying] = Said()

    async def close(self) -> None:
        """Wait until what is under way has ended, also for messages whose provider was told to come again."""
        await self._answering.close()
        await self._owing.close()

    async def answer(self, manifest: ChannelManifest, turn: CodeSubmitted | CommandGiven) -> Saying:
        """Return what to say in the response.

        Raises ``StoreUnavailable`` where nothing could be kept and the provider must deliver the message again.
        """
        envelope = turn.envelope
        if envelope is None:
            raise TypeError("only a message with its envelope can be answered here")
        try:
            ids = self._ids(manifest.name, envelope)
        except (
            KeyMissing,
            KeyFileInvalid,
        ) as error:  # nothing tells messages apart, so nothing may be kept either
            self._journal.failed("message_key_missing", error)
            if not (envelope.in_band and isinstance(turn, CodeSubmitted)):
                raise StoreUnavailable("The key file is missing; the message is asked for again.") from error
            return self._word(manifest, turn, _KEY_MISSING)
        return await self._answering.share(ids.both, lambda: self._answer(manifest, turn, envelope, ids))

    def _ids(self, channel: str, envelope: Envelope) -> _Ids:
        """Return what a message is known by. Raises ``KeyMissing`` or ``KeyFileInvalid``."""
        engine, account, alias = self._asking.engine, envelope.account, envelope.alias_id
        return _Ids(
            key=engine.message_key(channel, account, envelope.message_id),
            alias=None if alias is None else engine.message_key(channel, account, alias),
        )

    async def _answer(
        self, manifest: ChannelManifest, turn: CodeSubmitted | CommandGiven, envelope: Envelope, ids: _Ids
    ) -> Saying:
        started_s = self._clock.monotonic_s()
        known = await self._find_sender(manifest, envelope)
        if isinstance(turn, CommandGiven):
            saying = await self._obey(manifest, turn, envelope, ids, known)
        elif known is None and not envelope.quiet:
            # perhaps they opted out: what is kept for later is looked at again then
            self._asking.note(turn.request, _CANNOT_TELL, duplicate=False, started_s=started_s)
            saying = await self._say(manifest, turn, envelope, ids, _CANNOT_TELL)
        else:
            known = known or Correspondent()
            request = turn.request
            locale = turn.chosen_locale or known.locale or request.locale
            turn = replace(turn, request=replace(request, locale=locale, place=request.place or known.place))
            saying = await self._verify(manifest, turn, envelope, ids, known, started_s)
        if not saying.text or envelope.in_band:
            return saying
        if envelope.address is None:
            self._journal.counted("no_way_back", manifest.name)
        elif await self._outbox.owe(
            ids.key, envelope.address, text=saying.text, alias=ids.alias, now=self._clock.now()
        ):
            self._nudge()
        return _NOTHING

    async def _find_sender(self, manifest: ChannelManifest, envelope: Envelope) -> Correspondent | None:
        """Return what is kept of the sender, None where the store cannot tell. Raises ``StoreUnavailable`` where
        nothing can be said without it.
        """
        try:
            return await self._correspondence.find(envelope.caller, now=self._clock.now())
        except StoreUnavailable:
            if not envelope.in_band:
                raise
            return Correspondent() if manifest.form is TextForm.CHAT else None  # in a chat people unfollow

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
        manifest: ChannelManifest,
        turn: CodeSubmitted,
        envelope: Envelope,
        ids: _Ids,
        known: Correspondent,
        started_s: float,
    ) -> Saying:
        """Return the answer. Nothing is asked where nothing may be said: a first check must not be lost."""
        channel, deadline_ms = manifest.name, manifest.deadline_ms
        if known.opted_out or envelope.quiet:
            return self._silent("silent_opted_out", channel)
        if said := self._said.find(ids.both):
            # whatever the store can tell now, the answer must not be pushed as well
            self._journal.counted("said_again", channel)
            return said
        asking, request = self._asking, turn.request
        # the whole deadline, whatever the sender's look-up took: not to know what was said costs a second reply
        verdict = await asking.find_answer(request, deadline_ms)
        duplicate = verdict is not None and verdict.outcome is not Outcome.UNAVAILABLE
        if verdict is None:
            admission = await asking.admit(turn.subjects)
            if not admission.allowed:
                verdict = await asking.refuse(request, admission)
        if verdict is None:
            if not self._may_spend(envelope, channel):
                return _NOTHING
            left_ms = self._left_ms(deadline_ms, started_s)
            verdict = await asking.verify(request, turn.subjects, deadline_ms=left_ms)
        asking.note(request, verdict, duplicate=duplicate, started_s=started_s)
        if verdict.outcome is Outcome.THROTTLED:
            return await self._tell_limit(manifest, turn, envelope, ids, verdict)
        return await self._say(manifest, turn, envelope, ids, verdict)

    def _left_ms(self, deadline_ms: int, started_s: float) -> int:
        """Return what is left of a deadline, looking the sender up included; never nothing."""
        return max(deadline_ms - int((self._clock.monotonic_s() - started_s) * 1000), 1)

    async def _tell_limit(
        self, manifest: ChannelManifest, turn: CodeSubmitted, envelope: Envelope, ids: _Ids, verdict: Verdict
    ) -> Saying:
        """Say politely that a limit holds, once, and be silent after that."""
        channel = manifest.name
        silence = max(timedelta(seconds=verdict.retry_after_s), _TOLD_ONCE_IN)
        if not await self._claims(envelope, NoticeKind.THROTTLED, ids.key, self._clock.now() + silence):
            return self._silent("silent_throttled", channel)
        if await self._pushes_already(envelope, ids):
            return self._silent("silent_pushed", channel)
        if not self._may_spend(envelope, channel):
            return _NOTHING
        if not envelope.in_band:
            return self._word(manifest, turn, verdict)
        return await self._say_here(manifest, turn, envelope, ids, verdict)

    async def _say(
        self, manifest: ChannelManifest, turn: CodeSubmitted, envelope: Envelope, ids: _Ids, verdict: Verdict
    ) -> Saying:
        """Return the verdict in words, or nothing where it comes later by itself."""
        channel = manifest.name
        late = verdict.outcome is Outcome.UNAVAILABLE and not _LATER.isdisjoint(verdict.reasons)
        if late or self._owing.is_under_way(ids.both):
            if await self._owe_answer(manifest, turn, envelope, ids):
                return _NOTHING
            if not envelope.in_band:
                raise StoreUnavailable
            return self._word(manifest, turn, verdict)
        if not envelope.in_band or verdict.outcome is Outcome.UNAVAILABLE:
            return self._word(manifest, turn, verdict)
        if await self._pushes_already(envelope, ids):
            return self._silent("silent_pushed", channel)
        return await self._say_here(manifest, turn, envelope, ids, verdict)

    async def _say_here(
        self, manifest: ChannelManifest, turn: CodeSubmitted, envelope: Envelope, ids: _Ids, verdict: Verdict
    ) -> Saying:
        """Say it in the response. Raises ``StoreUnavailable`` where another machine may be keeping the question."""
        if envelope.address is not None and not await self._asking.window.take_way(ids.both, Way.RESPONSE):
            self._journal.counted("way_taken", manifest.name)
            raise StoreUnavailable("The answer may go out by itself. Deliver the message again.")
        saying = self._word(manifest, turn, verdict)
        self._said.note(ids.both, saying)
        return saying

    def _word(self, manifest: ChannelManifest, turn: CodeSubmitted, verdict: Verdict) -> Saying:
        reply = self._wording.reply(verdict, turn.request.locale, more_codes=turn.more_codes)
        return Saying(text=reply.text(manifest.form), reply=reply)

    async def _owe_answer(
        self, manifest: ChannelManifest, turn: CodeSubmitted, envelope: Envelope, ids: _Ids
    ) -> bool:
        """Keep the question, to be answered and pushed later; True once that is committed, False if it failed.

        Raises ``StoreUnavailable`` where nobody knows: to say anything now could be the first of two answers.
        """
        address = envelope.address
        if address is None:
            return False
        try:
            async with asyncio.timeout(manifest.owe_ms / 1000):
                owed = await self._owing.share(
                    ids.both, lambda: self._owe_question(turn, address, ids, in_band=envelope.in_band)
                )
        except StoreUnavailable as error:
            self._journal.failed("owe_failed", error)
            return False
        except TimeoutError as error:
            self._journal.failed("owe_unsure", error)
            raise StoreUnavailable("The question may have been kept. Deliver the message again.") from error
        if not owed:
            self._journal.counted("way_taken", manifest.name)
            raise StoreUnavailable("A response may have said the answer. Deliver the message again.")
        self._journal.counted("answer_owed", manifest.name)
        self._nudge()
        return True

    async def _owe_question(
        self, turn: CodeSubmitted, address: ReplyAddress, ids: _Ids, *, in_band: bool
    ) -> bool:
        """Keep the question; False where a response has said the answer. Raises ``StoreUnavailable``."""
        window = self._asking.window
        if in_band and not await window.take_way(ids.both, Way.PUSH):
            return False
        try:
            await self._outbox.owe(
                ids.key,
                address,
                question=turn.request,
                more_codes=turn.more_codes,
                alias=ids.alias,
                now=self._clock.now(),
            )
        except StoreUnavailable:
            # perhaps its answer alone was lost, and what is kept will be pushed
            if not await self._outbox.knows(ids.key, ids.alias):
                await window.leave_way(ids.both, Way.PUSH)
                raise
        if in_band:
            await window.hold_push(ids.both)
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
        self,
        manifest: ChannelManifest,
        turn: CommandGiven,
        envelope: Envelope,
        ids: _Ids,
        known: Correspondent | None,
    ) -> Saying:
        """Do what a command says, and return what to say about it. An opt-out is kept whatever the limits say."""
        now, channel = self._clock.now(), manifest.name
        toggles = turn.kind == "language" and not turn.argument
        known = _require_known(turn, known, toggles=toggles)
        if toggles:
            turn = replace(turn, argument=next_locale(known.locale or turn.locale))
        changed = _change(turn)
        if changed is not None:
            holds = await self._correspondence.change(
                envelope.caller, changed, message_key=ids.key, alias_key=ids.alias, now=now
            )
            if holds != known:
                self._journal.counted(turn.kind, channel)
            known = holds
        if envelope.quiet or (known.opted_out and turn.kind != "opt_out"):
            return self._silent("silent_opted_out" if known.opted_out else "silent_quiet", channel)
        if not (await self._asking.admit(envelope.subjects)).allowed:
            return self._silent("silent_throttled", channel)
        words = _NOTICES.get(turn.kind, NoticeWords.HELP)
        once = _ONCE_A_DAY.get(words)
        # a chat's own response costs nothing, and silence there would look like a fault
        free = manifest.form is TextForm.CHAT and envelope.in_band
        if once is not None and not free and not await self._claims(envelope, once, ids.key, now + _DAY):
            return self._silent("silent_told_before", channel)
        if not self._may_spend(envelope, channel):
            return _NOTHING
        locale = known.locale or turn.locale
        if turn.kind == "language" and not (toggles and known.locale):
            locale = turn.argument  # a toggle that comes again found its own choice, and has changed nothing
        return Saying(text=self._wording.notice(words, locale).text(manifest.form))

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

    def _silent(self, why: str, channel: str) -> Saying:
        self._journal.counted(why, channel)
        return _NOTHING


def _require_known(turn: CommandGiven, known: Correspondent | None, *, toggles: bool) -> Correspondent:
    """Return what is kept of the sender, a blank where the command itself says it. Raises ``StoreUnavailable``."""
    if known is None and (toggles or _change(turn) is None):
        raise StoreUnavailable("Nobody can tell whether the sender opted out. Deliver the message again.")
    return known or Correspondent()


def _change(turn: CommandGiven) -> Change | None:
    """Return what a command changes of what is kept, None for nothing."""
    match turn.kind:
        case "opt_out":
            return Change(opted_out=True)
        case "opt_in":
            return Change(opted_out=False)
        case "language":
            return Change(locale=turn.argument)
        case "place" if turn.argument:
            return Change(place=turn.argument)
        case _:
            return None
