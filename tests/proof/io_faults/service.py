"""The engine on the real SQLite storage over watched files, and what must hold whatever call of them fails.

A question that met the failure was refused or is recorded; asked again it is the same question; nobody is counted
twice, nobody is lost, and a mended device is noticed without a restart.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from app.adapters.cache.memory import MemoryCache
from app.adapters.storage.sqlite import FoldLimits, open_sqlite, upgrade_sqlite
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
SLACK: Final = 3.0  # for a machine that everything here shares
LABELS: Final = 40
ASKED_BEFORE: Final = 10  # of the labels, once each, all folded
KEYRING: Final = fixed_keyring()
FIRST_SERIAL: Final = 20 * 10**15  # of the layout of twenty digits


FACTS: Final = "SELECT id, serial, ordinal, outcome FROM verification"


class Broken(AssertionError):
    """What no failing device may bring about."""


@dataclass(slots=True)
class Service:
    """One process on the store that ``opening`` opens; ``asked`` holds every answer that anybody was given."""

    opening: Callable[[], Awaitable[Any]]
    asked: list[tuple[VerificationRequest, Verdict]] = field(default_factory=list)
    journal: RecordingJournal = field(default_factory=RecordingJournal)
    clock: FakeClock = field(default_factory=FakeClock)
    _storage: Any = None
    _engine: VerificationEngine | None = None

    @property
    def storage(self) -> Any:
        """The store, on a file or on a server."""
        assert self._storage is not None
        return self._storage

    @property
    def engine(self) -> VerificationEngine:
        assert self._engine is not None
        return self._engine

    async def open(self) -> None:
        """Start as the service does. Raises ``YanzhenError``; what was opened is closed then."""
        self._storage = await self.opening()
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
        """Ask again until there is an answer. Raises :class:`Broken` after :data:`RECOVERS_WITHIN_S`, with slack."""
        try:
            async with asyncio.timeout(RECOVERS_WITHIN_S * SLACK):
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
    upgrade_sqlite(folder / FILE)
    service = on_file(folder / FILE, FoldLimits(labels=1, facts=1, slice=64))
    await issue(await service.opening())
    await ask_before(service)


def on_file(path: Path, fold: FoldLimits | None = None) -> Service:
    """Return the service on a file."""
    return Service(lambda: open_sqlite(path, fold=fold))


async def ask_before(service: Service) -> None:
    """Let some labels have a past, and close."""
    await service.open()
    for number in range(ASKED_BEFORE):
        await service.ask(question(number, caller=90, message=f"before {number}"))
    await service.close()


async def issue(storage: Any) -> None:
    """Issue and activate the batch, and close the store."""
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


def copy(prepared: Path, folder: Path) -> Path:
    """Return a database of one's own."""
    shutil.copytree(prepared, folder)
    return folder / FILE


def require_one_history(service: Service, path: Path) -> None:
    """Read the closed file with the standard library: it is sound, and holds every answer that was given, once.

    Raises :class:`Broken`.
    """
    with closing(sqlite3.connect(path)) as connection:
        said = connection.execute("PRAGMA integrity_check").fetchall()
        if said != [("ok",)]:
            raise Broken(f"corrupt: {said}")
        facts = connection.execute(FACTS).fetchall()
    require_answers(service, facts)


def require_answers(service: Service, facts: Iterable[Sequence[Any]]) -> None:
    """Compare the rows of :data:`FACTS` with the answers that were given. Raises :class:`Broken`."""
    kept, counted = dict[int, tuple[Any, str]](), dict[Any, list[int]]()
    for number, serial, ordinal, outcome in facts:
        kept[number] = (ordinal, outcome)
        if ordinal is not None:
            counted.setdefault(serial, []).append(ordinal)
    for serial, ordinals in counted.items():
        if sorted(ordinals) != list(range(1, len(ordinals) + 1)):
            raise Broken(f"ordinals with gaps or twice: {serial} {ordinals}")
    by_message: dict[str, Verdict] = {}
    for request, verdict in service.asked:
        recorded = kept.get(verdict.verification_id or 0)
        if recorded != (verdict.ordinal, verdict.outcome.value):
            raise Broken(f"told {verdict.outcome} {verdict.ordinal}, recorded {recorded}")
        if request.message_id is None:
            continue
        if by_message.setdefault(request.message_id, verdict) != verdict:
            raise Broken(f"one message, two answers: {by_message[request.message_id]} {verdict}")


def other_caller(request: VerificationRequest) -> VerificationRequest:
    """Return the same question by somebody else, as a message of its own."""
    return replace(
        request, caller=Caller(kind=CallerKind.PHONE, token=b"somebody else"), message_id="another message"
    )
