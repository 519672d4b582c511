"""A real engine over a stage's store, as a running service has it, for tests of what it refuses."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import timedelta

from app.adapters.cache.memory import MemoryCache
from app.core.engine import VerificationEngine
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.verifications import VerificationStore
from app.issuing.recogniser import CodebookRecogniser
from tests.contract.store.stage import Stage
from tests.fakes.clock import FakeClock
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import fixed_codebook, fixed_keyring

_SECONDS = itertools.count(1)  # no two queries are received at once, as in life


@dataclass(slots=True)
class Watched:
    """``alarms`` are the names of the events that an operator sees."""

    engine: VerificationEngine
    journal: RecordingJournal
    told: list[Verdict] = field(default_factory=list)

    @staticmethod
    async def over(stage: Stage, store: VerificationStore | None = None) -> Watched:
        clock, journal = FakeClock(), RecordingJournal()
        engine = VerificationEngine(
            recogniser=CodebookRecogniser(fixed_keyring),
            store=store or stage.store,
            catalogues=stage.catalogues,
            cache=MemoryCache(clock),
            clock=clock,
            journal=journal,
        )
        await engine.start()
        return Watched(engine, journal)

    @property
    def alarms(self) -> list[str]:
        return [event for event, _ in self.journal.failures if event.startswith("invariant_")]

    async def ask(self, label: int, *, message: str | None = None) -> Verdict:
        verdict = await self.engine.verify(request(label, message=message))
        self.told.append(verdict)
        return verdict

    def firsts(self) -> int:
        return sum(verdict.outcome is Outcome.FIRST for verdict in self.told)


def request(label: int, *, message: str | None = None) -> VerificationRequest:
    return VerificationRequest(
        code=Code.parse(fixed_codebook().make(20 * 10**15 + label, tag_key_id=1)),
        caller=Caller(kind=CallerKind.PHONE, token=b"caller-number-01"),
        channel="sms",
        message_id=message,
        received_at=FakeClock().now() + timedelta(seconds=next(_SECONDS)),
    )
