"""The checks that guard the record, held against stores with a planted fault: each must be caught."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.cache.memory import MemoryCache
from app.adapters.storage.sqlite.verifications import SqliteVerifications
from app.core.engine import VerificationEngine
from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.code import Code
from app.core.model.verdict import Verdict
from app.core.model.verification import Draft, VerificationRequest
from app.core.ports.verifications import VerificationStore
from app.issuing.recogniser import CodebookRecogniser
from tests.contract.store.sqlite_stage import SqliteStage, prepare
from tests.contract.store.stage import gaps
from tests.fakes.clock import FakeClock
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import fixed_codebook, fixed_keyring

CLIENTS, TURNS, CODES = 32, 30, 3


class AnswersBeforeCommit(SqliteVerifications):
    """Tells the verdict while the commit is still to come."""

    def __init__(self, real: SqliteVerifications) -> None:
        super().__init__(real._writer, real._reader)
        self.late: set[asyncio.Task[Sequence[Verdict]]] = set()

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        verdicts = await self.preview(drafts, catalogue)
        self.late.add(asyncio.create_task(super().record(drafts, catalogue)))
        return verdicts


class ChecksThenWrites(SqliteVerifications):
    """Looks in one transaction and writes in the next; both processes look before either writes."""

    def __init__(self, real: SqliteVerifications, looked: asyncio.Barrier) -> None:
        super().__init__(real._writer, real._reader)
        self.looked = looked

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        verdicts = await self.preview(drafts, catalogue)
        async with asyncio.timeout(30):
            await self.looked.wait()
        await super().record(drafts, catalogue)
        return verdicts


class ForgetsMessages(SqliteVerifications):
    """Has no key by which a retry would be known."""

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        return await super().record([replace(draft, message_key=None) for draft in drafts], catalogue)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[SqliteStage]:
    stage = await SqliteStage.open(await prepare(tmp_path / "prepared.db"), tmp_path)
    yield stage
    await stage.close()


async def engine_on(stage: SqliteStage, store: VerificationStore) -> VerificationEngine:
    clock = FakeClock()
    engine = VerificationEngine(
        recogniser=CodebookRecogniser(fixed_keyring),
        store=store,
        catalogues=stage.catalogues,
        cache=MemoryCache(clock),
        clock=clock,
        journal=RecordingJournal(),
    )
    await engine.start()
    return engine


def ask(number: int, message: str | None = None) -> VerificationRequest:
    digits = fixed_codebook().make(20 * 10**15 + number, tag_key_id=1)
    return VerificationRequest(
        code=Code.parse(digits),
        caller=Caller(kind=CallerKind.PHONE, token=b"caller-number-01"),
        channel="sms",
        message_id=message,
        received_at=FakeClock().now(),
    )


async def told_too_early(stage: SqliteStage, store: VerificationStore) -> tuple[int, int]:
    """Let 32 clients ask at odd moments; return how many answers another connection did not see, and of how many."""
    engine = await engine_on(stage, store)
    dice = random.Random(5)
    early = asked = 0
    with closing(sqlite3.connect(stage.path)) as witness:

        async def call() -> None:
            nonlocal early, asked
            for _ in range(TURNS):
                for _ in range(dice.randrange(20)):
                    await asyncio.sleep(0)
                verdict = await engine.verify(ask(dice.randrange(CODES)))
                row = witness.execute(
                    "SELECT ordinal FROM verification WHERE id = ?", (verdict.verification_id,)
                ).fetchone()
                asked += 1
                early += row is None or row[0] != verdict.ordinal

        await asyncio.gather(*(call() for _ in range(CLIENTS)))
    await engine.close()
    return early, asked


async def history_is_whole(stage: SqliteStage, stores: Sequence[VerificationStore]) -> bool:
    """Ask about one label through several stores at once; tell whether the ordinals are 1 to n."""
    engines = [await engine_on(stage, store) for store in stores]
    told = await asyncio.gather(*(engines[turn % len(engines)].verify(ask(1)) for turn in range(40)))
    for engine in engines:
        await engine.close()
    return gaps(verdict.ordinal for verdict in told) == []


async def retry_is_no_query(stage: SqliteStage, store: VerificationStore) -> bool:
    engine = await engine_on(stage, store)
    told = [await engine.verify(ask(2, message="m")) for _ in range(2)]
    await engine.close()
    return told[0] == told[1]


async def test_no_answer_leaves_before_its_row_is_seen_by_others(stage: SqliteStage) -> None:
    assert await told_too_early(stage, stage.store) == (0, CLIENTS * TURNS)


async def test_an_answer_before_the_commit_is_caught(stage: SqliteStage) -> None:
    faulty = AnswersBeforeCommit(stage.store)
    early, _ = await told_too_early(stage, faulty)
    await asyncio.gather(*faulty.late)
    assert early > 0


async def test_the_real_stores_keep_one_history(stage: SqliteStage) -> None:
    other = await stage.other()
    assert await history_is_whole(stage, [stage.store, other.store])


async def test_a_check_outside_the_transaction_is_caught(stage: SqliteStage) -> None:
    other = await stage.other()
    looked = asyncio.Barrier(2)
    stores = [ChecksThenWrites(side.store, looked) for side in (stage, other)]
    assert not await history_is_whole(stage, stores)


async def test_a_store_without_message_keys_is_caught(stage: SqliteStage) -> None:
    assert await retry_is_no_query(stage, stage.store)
    assert not await retry_is_no_query(stage, ForgetsMessages(stage.store._writer, stage.store._reader))
