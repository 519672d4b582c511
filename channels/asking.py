"""Asking the engine on a channel's behalf: the stored answer, the verification, its log line and the wrong codes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from app.core.errors import YanzhenError
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Detail, Outcome, Verdict, VerificationId
from app.core.model.verification import Record, VerificationRequest
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.core.ports.throttle import Admission, Throttle, ThrottleSubject
from channels.window import DuplicateWindow, keeps, together

_RETRY_AFTER_S = 5


class Engine(Protocol):
    """What channels need of the engine; ``app.core.engine`` states the promises."""

    @property
    def catalogue(self) -> Catalogue: ...

    async def verify(self, request: VerificationRequest, *, deadline_ms: int) -> Verdict: ...

    async def find_answer(self, request: VerificationRequest) -> Verdict | None: ...

    async def find_own(self, reader_token: bytes, channel: str, limit: int) -> Sequence[Record]: ...

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None
    ) -> Record | None: ...

    def message_key(self, channel: str, account: str, message_id: str) -> bytes: ...


class Asking:
    """The steps of one query, for whoever puts them in order. Nothing here raises but for cancellation."""

    def __init__(
        self, *, engine: Engine, throttle: Throttle, window: DuplicateWindow, journal: Journal, clock: Clock
    ) -> None:
        self.engine = engine
        self.window = window
        self._throttle = throttle
        self._journal = journal
        self._clock = clock

    async def find_answer(self, request: VerificationRequest, deadline_ms: int) -> Verdict | None:
        """Return what this very message was answered before: the record's answer, else one that left no record.

        If the store cannot tell, nothing may be guessed.
        """
        recorded = await self._find_recorded(request, deadline_ms)
        if recorded is not None and recorded.outcome is not Outcome.UNAVAILABLE:
            return recorded
        return await self.window.find(self._keys(request)) or recorded

    async def _find_recorded(self, request: VerificationRequest, deadline_ms: int) -> Verdict | None:
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                return await self.engine.find_answer(request)
        except TimeoutError:
            reason = Detail.DEADLINE
        except YanzhenError as error:
            self._journal.failed("find_answer_failed", error)
            reason = Detail.NOT_RECORDED
        return Verdict(outcome=Outcome.UNAVAILABLE, reasons=(reason,), retry_after_s=_RETRY_AFTER_S)

    def admit(self, subjects: Sequence[ThrottleSubject]) -> Awaitable[Admission]:
        """Count one query against the limits."""
        return self._throttle.admit(subjects)

    async def verify(
        self, request: VerificationRequest, subjects: Sequence[ThrottleSubject], *, deadline_ms: int
    ) -> Verdict:
        """Return the engine's verdict, and count what it says of wrong codes against ``subjects``."""
        verdict = await self.engine.verify(request, deadline_ms=deadline_ms)
        guesses, kept = _wrong_guesses(request, verdict), keeps(verdict)
        if not (guesses or kept):  # nearly every query
            return verdict
        notes = [self._throttle.note_wrong(subjects) for _ in range(guesses)]
        if kept:
            notes.append(self.window.note(self._keys(request), verdict))
        await together(notes)
        return verdict

    async def refuse(self, request: VerificationRequest, admission: Admission) -> Verdict:
        """Return the verdict of a query that the limits refused."""
        verdict = Verdict(outcome=Outcome.THROTTLED, retry_after_s=admission.retry_after_s)
        await self.window.note(self._keys(request), verdict)
        return verdict

    def note(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, started_s: float
    ) -> None:
        """Write the line of one answered query; ``started_s`` is the monotonic second it began at."""
        took_ms = (self._clock.monotonic_s() - started_s) * 1000
        self._journal.answered(request, verdict, duplicate=duplicate, took_ms=took_ms)

    def _keys(self, request: VerificationRequest) -> tuple[bytes, ...]:
        """Return what this message is known by; nothing where it has no id, or no key to make it with."""
        ids = (request.message_id, request.alias_id)
        try:
            return tuple(
                self.engine.message_key(request.channel, request.account, one)
                for one in ids
                if one is not None
            )
        except YanzhenError:  # the engine says so where it answers
            return ()


def _wrong_guesses(request: VerificationRequest, verdict: Verdict) -> int:
    """Return how many wrong codes an answer stands for: every further reading was put to the proof as well.

    A slip or a wrong length is no guess, but digits cut out of it are (service rules, section 2).
    """
    if verdict.wrong_code:
        return 1 + len(request.other_readings)
    return len(request.other_readings) if verdict.outcome is Outcome.MISTYPED else 0
