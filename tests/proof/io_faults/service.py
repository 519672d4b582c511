"""The engine on the real SQLite storage over watched files, and what must hold whatever call of them fails.

A question that met the failure was refused or is recorded; asked again it is the same question; nobody is counted
twice, nobody is lost, and a mended device is noticed without a restart.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from app.adapters.cache.memory import MemoryCache
from app.adapters.storage.record_checks import ORDINALS
from app.adapters.storage.sqlite import FoldLimits, SqliteStorage, open_sqlite, upgrade_sqlite
from app.core.engine import VerificationEngine
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code
from app.core.model.label import LabelState
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.issuing.ports import BatchOrder, StateChange
from app.issuing.recogniser import CodebookRecogniser
from tests.fakes.clock import FakeClock
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import fixed_keyring

FILE: Final = "yanzhen.db"
RECOVERS_WITHIN_S: Final = 5.0
LABELS: Final = 40
ASKED_BEFORE: Final = 10  # of the labels, once each, all folded
KEYRING: Final = fixed_keyring()
FIRST_SERIAL: Final = 20 * 10**15  # of the layout of twenty digits


class Broken(AssertionError):
    """What no failing device may bring about."""


@dataclass(slots=True)
class Service:
    """One process on ``path``; ``asked`` holds every answer that anybody was given."""

    path: Path
    fold: FoldLimits
    asked: list[tuple[VerificationRequest, Verdict]] = field(default_factory=list)
    journal: RecordingJournal = field(default_factory=RecordingJournal)
    clock: FakeClock = field(default_factory=FakeClock)
    _storage: SqliteStorage | None = None
    _engine: VerificationEngine | None = None

    @property
    def storage(self) -> SqliteStorage:
        assert self._storage is not None
        return self._storage

    @property
    def engine(self) -> VerificationEngine:
        assert self._engine is not None
        return self._engine

    async def open(self) -> None:
        """Start as the service does. Raises ``YanzhenError``; what was opened is closed then."""
        self._storage = await open_sqlite(self.path, fold=self.fold)
        engine = VerificationEngine(
            recogniser=CodebookRecogniser(lambda: KEYRING),
            store=self._storage.verifications,
            catalogues=self._storage.catalogues,
            cache=MemoryCache(self.clock),
            clock=self.clock,
            journal=self.journal,
        )
        try:
            await engine.start()
        except BaseException:
            await self.storage.close()
            self._storage = None
            raise
        self._engine = engine

    async def close(self) -> None:
        """Drain and close, whatever of it is open."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()
        storage, self._storage = self._storage, None
        if storage is not None:
            await storage.close()

    async def ask(self, request: VerificationRequest) -> Verdict:
        """Ask as the pipeline does: a message that was answered before is looked for first."""
        found = None
        if request.message_id is not None:
            try:
                found = await self.engine.find_answer(request)
            except Exception as error:  # noqa: BLE001 - the pipeline answers `unavailable` then
                self.journal.failed("find_answer", error)
                return Verdict(outcome=Outcome.UNAVAILABLE)
        verdict = found or await self.engine.verify(request)
        if verdict.outcome is not Outcome.UNAVAILABLE:
            self.asked.append((request, verdict))
        return verdict

    async def recover(self, request: VerificationRequest) -> Verdict:
        """Ask again until there is an answer. Raises :class:`Broken` after :data:`RECOVERS_WITHIN_S`."""
        try:
            async with asyncio.timeout(RECOVERS_WITHIN_S):
                while True:
                    verdict = await self.ask(request)
                    if verdict.outcome is not Outcome.UNAVAILABLE:
                        return verdict
        except TimeoutError:
            raise Broken(f"not recovered: {self.journal.failures[-1:]}") from None


def question(number: int, *, caller: int = 0, message: str | None = None) -> VerificationRequest:
    """Return a query about the label ``number`` of the batch."""
    return VerificationRequest(
        code=Code(digits=KEYRING.codebook().make(FIRST_SERIAL + number, tag_key_id=1)),
        caller=Caller(kind=CallerKind.PHONE, token=b"caller-number-%02d" % caller),
        channel="sms",
        message_id=message,
        received_at=FakeClock().now(),
    )


async def prepare(folder: Path) -> None:
    """Make a database with a batch of which some labels were asked about, closed in order."""
    path = folder / FILE
    upgrade_sqlite(path)
    storage = await open_sqlite(path)
    registry = storage.registry
    await registry.put_key_checks(KEYRING.checks())
    brand = await registry.add_brand(name="青禾")
    product = await registry.add_product(brand_id=brand.id, name="奶粉")
    at = FakeClock().now()
    order = BatchOrder(
        product_id=product.id,
        layout=20,
        quantity=LABELS,
        at_most=10**9,
        tag_key_id=1,
        url_prefix="https://verify.example/q/",
        issued_at=at,
    )
    batch = await registry.issue_batch(order)
    assert batch.first_serial == FIRST_SERIAL
    change = StateChange(
        batch_id=batch.id,
        first_serial=FIRST_SERIAL,
        last_serial=FIRST_SERIAL + LABELS - 1,
        state=LabelState.ACTIVE,
    )
    await registry.change_states([change], at=at)
    await storage.close()
    service = Service(path, FoldLimits(labels=1, facts=1, slice=64))
    await service.open()
    for number in range(ASKED_BEFORE):
        await service.ask(question(number, caller=90, message=f"before {number}"))
    await service.close()


def copy(prepared: Path, folder: Path) -> Path:
    """Return a database of one's own."""
    shutil.copytree(prepared, folder)
    return folder / FILE


def require_one_history(service: Service) -> None:
    """Read the closed file with the standard library: it is sound, and holds every answer that was given, once.

    Raises :class:`Broken`.
    """
    with closing(sqlite3.connect(service.path)) as connection:
        said = connection.execute("PRAGMA integrity_check").fetchall()
        if said != [("ok",)]:
            raise Broken(f"corrupt: {said}")
        wrong = connection.execute(ORDINALS).fetchall()
        if wrong:
            raise Broken(f"ordinals with gaps or twice: {wrong}")
        facts = {
            number: (ordinal, outcome)
            for number, ordinal, outcome in connection.execute(
                "SELECT id, ordinal, outcome FROM verification"
            )
        }
    for _, verdict in service.asked:
        kept = facts.get(verdict.verification_id or 0)
        if kept != (verdict.ordinal, verdict.outcome.value):
            raise Broken(f"told {verdict.outcome} {verdict.ordinal}, recorded {kept}")
    by_message: dict[str, Verdict] = {}
    for request, verdict in service.asked:
        if request.message_id is None:
            continue
        told = by_message.setdefault(request.message_id, verdict)
        if told != verdict:
            raise Broken(f"one message, two answers: {told} {verdict}")


def other_caller(request: VerificationRequest) -> VerificationRequest:
    """Return the same question by somebody else, as a message of its own."""
    return replace(
        request, caller=Caller(kind=CallerKind.PHONE, token=b"somebody else"), message_id="another message"
    )
