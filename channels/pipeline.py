"""The one path of every request on every channel: authenticate, decode, deduplicate, throttle, verify, encode, log."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, cast

from app.core.errors import NotAuthentic, StoreUnavailable, Undecodable
from app.core.model.verdict import Outcome, Verdict
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from channels.abilities import ErrandChannel, ErrandFailed, MessageChannel
from channels.asking import Asking
from channels.base import (
    ChannelAdapter,
    ChannelManifest,
    InboundRequest,
    OutboundResponse,
    Refusal,
    RefusalKind,
)
from channels.follow_up import FollowUp
from channels.messages import Messages, Saying
from channels.once import Together
from channels.turns import (
    CallNoted,
    CodeSubmitted,
    CommandGiven,
    DeliveryReport,
    Errand,
    HistoryOpened,
    Ignored,
    RecallWatched,
    RecordOpened,
    ReportMade,
    Several,
    ThrottleSubject,
    Turn,
)
from channels.wording.reply import Wording

_LOOKS_S: Final = 0.4


class Pipeline:
    """Carries one request of any channel from bytes to bytes. Never raises but for cancellation."""

    def __init__(
        self,
        *,
        asking: Asking,
        messages: Messages,
        follow_up: FollowUp,
        wording: Wording,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._asking = asking
        self._messages = messages
        self._follow_up = follow_up
        self._wording = wording
        self._journal = journal
        self._clock = clock
        self._answering: Together[tuple[Verdict, bool]] = Together()

    async def carry(self, adapter: ChannelAdapter, inbound: InboundRequest) -> OutboundResponse:
        """Return the channel's response to one request; a refusal where it is forged or malformed."""
        channel = adapter.manifest.name
        try:
            adapter.authenticate(inbound)
            turn = adapter.decode(inbound)
        except NotAuthentic as error:
            self._journal.refused(channel, RefusalKind.NOT_AUTHENTIC)
            return adapter.refuse(Refusal(kind=RefusalKind.NOT_AUTHENTIC, message=str(error), cause=error))
        except Undecodable as error:
            self._journal.refused(channel, RefusalKind.MALFORMED)
            return adapter.refuse(Refusal(kind=RefusalKind.MALFORMED, message=str(error), cause=error))
        if isinstance(turn, CodeSubmitted) and turn.envelope is None:  # the web: nearly every query
            verdict = await self._answer(adapter, turn)
            reply = self._wording.reply(verdict, turn.request.locale, more_codes=turn.more_codes)
            return adapter.encode(inbound, turn, reply)
        if isinstance(turn, Several) or _is_message(turn):
            return await self._converse(cast(MessageChannel, adapter), inbound, turn)
        return await self._carry_other(adapter, inbound, turn)

    async def _carry_other(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: Turn
    ) -> OutboundResponse:
        """Carry what is neither a query nor a message."""
        channel, follow_up = adapter.manifest.name, self._follow_up
        match turn:
            case RecordOpened():
                return await follow_up.show_record(adapter, inbound, turn)
            case HistoryOpened():
                return await follow_up.show_history(adapter, inbound, turn)
            case RecallWatched():
                return await follow_up.watch_recall(adapter, inbound, turn)
            case ReportMade():
                return await follow_up.keep_report(adapter, inbound, turn)
            case Errand():
                return await self._run_errand(cast(ErrandChannel, adapter), inbound, turn)
            case CallNoted():
                await follow_up.note_call(channel, turn)
            case Ignored():
                self._journal.counted(turn.why, channel)
        return adapter.encode(inbound, turn, None)

    async def _answer(self, adapter: ChannelAdapter, turn: CodeSubmitted) -> Verdict:
        """Return the verdict. A message that was answered, or is being answered, is not asked about again."""
        started = self._clock.monotonic_s()
        request, deadline_ms = turn.request, adapter.manifest.deadline_ms
        if request.message_id is None:
            verdict, duplicate = await self._ask(turn, deadline_ms), False
        else:
            (verdict, found), shared = await self._answering.share(
                (request.channel, request.account, request.message_id),
                lambda: self._find_or_ask(turn, deadline_ms, started),
            )
            duplicate = (found or shared) and verdict.outcome is not Outcome.UNAVAILABLE
        self._asking.note(request, verdict, duplicate=duplicate, started_s=started)
        return verdict

    async def _find_or_ask(
        self, turn: CodeSubmitted, deadline_ms: int, started_s: float
    ) -> tuple[Verdict, bool]:
        """Return the verdict of a message, and whether it was given before."""
        verdict = await self._asking.find_answer(turn.request, self._left_ms(deadline_ms, started_s))
        # a voucher asks anew what the limits refused; anything else that was answered stays answered
        if verdict is not None and not (turn.vouchers and verdict.outcome is Outcome.THROTTLED):
            return verdict, True
        return await self._ask(turn, self._left_ms(deadline_ms, started_s)), False

    async def _ask(self, turn: CodeSubmitted, deadline_ms: int) -> Verdict:
        asking, request, counted = self._asking, turn.request, turn.subjects
        admission = await asking.admit(counted)
        if not admission.allowed:
            voucher = await self._find_good(turn.vouchers)
            if voucher is None:
                return await asking.refuse(request, admission)
            # a wrong code counts against those who were over their limit as well
            counted += tuple(subject for subject in voucher if subject not in counted)
        elif admission.slow_ms:
            await asyncio.sleep(admission.slow_ms / 1000)
            deadline_ms = max(deadline_ms - admission.slow_ms, 1)
        return await asking.verify(request, counted, deadline_ms=deadline_ms)

    async def _find_good(
        self, vouchers: tuple[tuple[ThrottleSubject, ...], ...]
    ) -> tuple[ThrottleSubject, ...] | None:
        """Return the first voucher that the limits admit, which spends it."""
        for voucher in vouchers:
            if (await self._asking.admit(voucher)).allowed:
                return voucher
        return None

    def _left_ms(self, deadline_ms: int, started_s: float) -> int:
        return max(deadline_ms - int((self._clock.monotonic_s() - started_s) * 1000), 1)

    async def _run_errand(
        self, adapter: ErrandChannel, inbound: InboundRequest, errand: Errand
    ) -> OutboundResponse:
        """Ask the channel's platform, unless the limits say that this asker has asked enough."""
        if not (await self._asking.admit(errand.subjects)).allowed:
            return adapter.encode_errand(inbound, errand, ErrandFailed(why="throttled"))
        result: str | ErrandFailed = ErrandFailed(why="deadline")
        with suppress(TimeoutError):
            async with asyncio.timeout(adapter.manifest.deadline_ms / 1000):
                result = await adapter.run_errand(errand)
        if isinstance(result, ErrandFailed):
            self._journal.counted(f"{errand.kind}_{result.why}", adapter.manifest.name)
        return adapter.encode_errand(inbound, errand, result)

    async def _converse(
        self, adapter: MessageChannel, inbound: InboundRequest, turn: Turn
    ) -> OutboundResponse:
        """Answer a message, or several in the order of arrival; what cannot be kept is asked for again."""
        manifest = adapter.manifest
        turns = turn.turns if isinstance(turn, Several) else (turn,)
        give_up_at = self._clock.monotonic_s() + manifest.deadline_ms / 1000
        saying = Saying()
        try:
            for one in turns:
                if isinstance(one, Ignored):
                    self._journal.counted(one.why, manifest.name)
                    continue
                if len(turns) > 1 and self._clock.monotonic_s() > give_up_at:
                    # delivered again, the answered ones cost one look each
                    raise StoreUnavailable("The batch took too long; the rest is asked for again.")
                if isinstance(one, DeliveryReport):
                    await self._messages.note_delivery(manifest.name, one)
                elif isinstance(one, CodeSubmitted | CommandGiven):
                    async with asyncio.timeout(_patience_s(manifest)):
                        saying = await self._messages.answer(manifest, one)
        except (StoreUnavailable, TimeoutError) as error:
            self._journal.failed("message_not_kept", error)
            cause = error if isinstance(error, StoreUnavailable) else None
            return adapter.refuse(Refusal(kind=RefusalKind.UNAVAILABLE, cause=cause))
        return adapter.say(inbound, saying.text, saying.reply)


def _patience_s(manifest: ChannelManifest) -> float:
    """Return how long a message may take at most, looks before and after its deadline included."""
    return (manifest.deadline_ms + manifest.owe_ms) / 1000 + _LOOKS_S


def _is_message(turn: Turn) -> bool:
    if isinstance(turn, CodeSubmitted | CommandGiven):
        return turn.envelope is not None
    return isinstance(turn, DeliveryReport)
