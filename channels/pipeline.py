"""The one path of every request on every channel: authenticate, decode, deduplicate, throttle, verify, encode, log."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from app.core.errors import NotAuthentic, StoreUnavailable, Undecodable, YanzhenError
from app.core.model.verdict import Outcome, Verdict
from app.core.ports.call_records import CallRecords
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.core.ports.reports import Reports
from channels.abilities import MessageChannel
from channels.asking import Asking
from channels.base import ChannelAdapter, InboundRequest, OutboundResponse, Refusal, RefusalKind
from channels.messages import Messages
from channels.once import Together
from channels.turns import (
    CallNoted,
    CodeSubmitted,
    CommandGiven,
    DeliveryReport,
    Ignored,
    RecordOpened,
    ReportMade,
    Several,
    Turn,
)
from channels.wording.reply import Wording

_NOTED_WITHIN_S: Final = 1.0  # a caller is waiting, and nothing of the answer depends on the note


class Pipeline:
    """Carries one request of any channel from bytes to bytes. Never raises but for cancellation."""

    def __init__(
        self,
        *,
        asking: Asking,
        messages: Messages,
        reports: Reports,
        calls: CallRecords,
        wording: Wording,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._asking = asking
        self._messages = messages
        self._reports = reports
        self._calls = calls
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
        if isinstance(turn, RecordOpened):
            return await self._show(adapter, inbound, turn)
        if isinstance(turn, Several) or _is_message(turn):
            return await self._converse(cast(MessageChannel, adapter), inbound, turn)
        if isinstance(turn, ReportMade):
            return await self._keep_report(adapter, inbound, turn)
        if isinstance(turn, CallNoted):
            await self._note_call(channel, turn)
        elif isinstance(turn, Ignored):
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
        if verdict is not None:
            return verdict, True
        return await self._ask(turn, self._left_ms(deadline_ms, started_s)), False

    async def _ask(self, turn: CodeSubmitted, deadline_ms: int) -> Verdict:
        asking, request = self._asking, turn.request
        admission = await asking.admit(turn.subjects)
        if not admission.allowed:
            return await asking.refuse(request, admission)
        if admission.slow_ms:
            await asyncio.sleep(admission.slow_ms / 1000)
        return await asking.verify(
            request, turn.subjects, deadline_ms=max(deadline_ms - admission.slow_ms, 1)
        )

    def _left_ms(self, deadline_ms: int, started_s: float) -> int:
        return max(deadline_ms - int((self._clock.monotonic_s() - started_s) * 1000), 1)

    async def _show(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: RecordOpened
    ) -> OutboundResponse:
        record = None
        try:
            if turn.verification_id is not None:
                async with asyncio.timeout(adapter.manifest.deadline_ms / 1000):
                    record = await self._asking.engine.find_record(turn.verification_id, turn.reader.token)
        except (StoreUnavailable, TimeoutError) as error:
            self._journal.failed("find_record_failed", error)
            return adapter.refuse(Refusal(kind=RefusalKind.UNAVAILABLE, locale=turn.locale))
        return adapter.encode(inbound, turn, None, record)

    async def _keep_report(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: ReportMade
    ) -> OutboundResponse:
        """Keep what somebody told; they are thanked only for what is kept."""
        channel = adapter.manifest.name
        key = self._asking.engine.message_key(channel, turn.account, turn.message_id)
        try:
            await self._reports.keep(
                channel=channel,
                account=turn.account,
                message_key=key,
                recording=turn.recording,
                at=turn.received_at,
            )
        except StoreUnavailable as error:
            self._journal.failed("report_not_kept", error)
            return adapter.refuse(Refusal(kind=RefusalKind.UNAVAILABLE, locale=turn.locale))
        self._journal.counted("report_kept", channel)
        return adapter.encode(inbound, turn, None)

    async def _note_call(self, channel: str, turn: CallNoted) -> None:
        """Open or close the record of a call; whatever becomes of that, the call goes on."""
        self._journal.counted(f"call_{turn.how or 'begun'}", channel)
        try:
            key = self._asking.engine.message_key(channel, turn.account, turn.call_id)
            async with asyncio.timeout(_NOTED_WITHIN_S):
                if turn.how is None:
                    await self._calls.open(key=key, account=turn.account, at=turn.at)
                else:
                    await self._calls.close(
                        key=key, account=turn.account, how=turn.how, at=turn.at, seconds=turn.seconds
                    )
        except (YanzhenError, TimeoutError) as error:
            self._journal.failed("call_not_noted", error)

    async def _converse(
        self, adapter: MessageChannel, inbound: InboundRequest, turn: Turn
    ) -> OutboundResponse:
        """Answer a message, or several in the order of arrival; what cannot be kept is asked for again."""
        channel, deadline_ms = adapter.manifest.name, adapter.manifest.deadline_ms
        turns = turn.turns if isinstance(turn, Several) else (turn,)
        give_up_at = self._clock.monotonic_s() + deadline_ms / 1000
        text = ""
        try:
            for one in turns:
                if isinstance(one, Ignored):
                    self._journal.counted(one.why, channel)
                    continue
                if len(turns) > 1 and self._clock.monotonic_s() > give_up_at:
                    # delivered again, the answered ones cost one look each
                    raise StoreUnavailable("The batch took too long; the rest is asked for again.")
                if isinstance(one, DeliveryReport):
                    await self._messages.note_delivery(channel, one)
                elif isinstance(one, CodeSubmitted | CommandGiven):
                    text = await self._messages.answer(channel, one, deadline_ms=deadline_ms)
        except StoreUnavailable as error:
            self._journal.failed("message_not_kept", error)
            return adapter.refuse(Refusal(kind=RefusalKind.UNAVAILABLE, cause=error))
        return adapter.say(inbound, text)


def _is_message(turn: Turn) -> bool:
    if isinstance(turn, CodeSubmitted | CommandGiven):
        return turn.envelope is not None
    return isinstance(turn, DeliveryReport)
