"""The one path of every request on every channel: authenticate, decode, deduplicate, throttle, verify, encode, log."""

from __future__ import annotations

import asyncio
from typing import Protocol, assert_never

from app.core.errors import NotAuthentic, StoreUnavailable, Undecodable, YanzhenError
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Detail, Outcome, Verdict, VerificationId
from app.core.model.verification import Record, VerificationRequest
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.core.ports.throttle import Throttle
from channels.base import (
    ChannelAdapter,
    CodeSubmitted,
    CommandGiven,
    Continue,
    DeliveryReport,
    Handshake,
    Ignored,
    InboundRequest,
    OutboundResponse,
    RecordOpened,
    Refusal,
    RefusalKind,
)
from channels.wording.reply import Wording


class Engine(Protocol):
    """What the pipeline needs of the engine; ``app.core.engine`` states the promises."""

    @property
    def catalogue(self) -> Catalogue: ...

    async def verify(self, request: VerificationRequest, *, deadline_ms: int) -> Verdict: ...

    async def find_answer(self, request: VerificationRequest) -> Verdict | None: ...

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None
    ) -> Record | None: ...


class Pipeline:
    """Carries one request of any channel from bytes to bytes. Never raises but for cancellation."""

    def __init__(
        self, *, engine: Engine, throttle: Throttle, wording: Wording, journal: Journal, clock: Clock
    ) -> None:
        self._engine = engine
        self._throttle = throttle
        self._wording = wording
        self._journal = journal
        self._clock = clock

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
        match turn:
            case CodeSubmitted():
                verdict = await self._answer(adapter, turn)
                reply = self._wording.reply(verdict, turn.request.locale, more_codes=turn.more_codes)
                return adapter.encode(inbound, turn, reply)
            case RecordOpened():
                return await self._show(adapter, inbound, turn)
            case CommandGiven() | Continue() | Handshake() | DeliveryReport() | Ignored():
                return adapter.encode(inbound, turn, None)
            case _ as unreachable:
                assert_never(unreachable)

    async def _answer(self, adapter: ChannelAdapter, turn: CodeSubmitted) -> Verdict:
        started = self._clock.monotonic_s()
        request = turn.request
        left_ms = adapter.manifest.deadline_ms
        verdict = None
        if request.message_id is not None:
            verdict = await self._stored_answer(request, left_ms)
            left_ms -= int((self._clock.monotonic_s() - started) * 1000)
        duplicate = verdict is not None and verdict.outcome is not Outcome.UNAVAILABLE
        if verdict is None:
            admission = await self._throttle.admit(turn.subjects)
            if not admission.allowed:
                verdict = Verdict(outcome=Outcome.THROTTLED, retry_after_s=admission.retry_after_s)
            else:
                if admission.slow_ms:
                    await asyncio.sleep(admission.slow_ms / 1000)
                deadline_ms = max(left_ms - admission.slow_ms, 1)
                verdict = await self._engine.verify(request, deadline_ms=deadline_ms)
                for _ in range(_wrong_guesses(request, verdict)):
                    await self._throttle.note_wrong(turn.subjects)
        took_ms = (self._clock.monotonic_s() - started) * 1000
        self._journal.answered(request, verdict, duplicate=duplicate, took_ms=took_ms)
        return verdict

    async def _stored_answer(self, request: VerificationRequest, deadline_ms: int) -> Verdict | None:
        """Return what this very message was answered before. If the store cannot tell, nothing may be guessed."""
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                return await self._engine.find_answer(request)
        except TimeoutError:
            reason = Detail.DEADLINE
        except YanzhenError as error:
            self._journal.failed("find_answer_failed", error)
            reason = Detail.NOT_RECORDED
        return Verdict(outcome=Outcome.UNAVAILABLE, reasons=(reason,), retry_after_s=5)

    async def _show(
        self, adapter: ChannelAdapter, inbound: InboundRequest, turn: RecordOpened
    ) -> OutboundResponse:
        record = None
        try:
            if turn.verification_id is not None:
                async with asyncio.timeout(adapter.manifest.deadline_ms / 1000):
                    record = await self._engine.find_record(turn.verification_id, turn.reader.token)
        except (StoreUnavailable, TimeoutError) as error:
            self._journal.failed("find_record_failed", error)
            return adapter.refuse(Refusal(kind=RefusalKind.UNAVAILABLE, locale=turn.locale))
        return adapter.encode(inbound, turn, None, record)


def _wrong_guesses(request: VerificationRequest, verdict: Verdict) -> int:
    """Return how many wrong codes an answer stands for: every further reading was put to the proof as well.

    A slip or a wrong length is no guess, but digits cut out of it are (service rules, section 2).
    """
    if verdict.wrong_code:
        return 1 + len(request.other_readings)
    return len(request.other_readings) if verdict.outcome is Outcome.MISTYPED else 0
