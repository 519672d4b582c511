"""The check of histories, held against stores with a planted fault on two machines: each of them must be caught."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.adapters.storage.postgresql import upgrade_postgresql
from app.adapters.storage.postgresql.verifications import PostgresqlVerifications
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import Draft
from app.core.ports.verifications import VerificationStore
from tests.contract.store.history import Answer, Recorded, faults
from tests.contract.store.sqlite_stage import issue_batches
from tests.contract.store.stage import Asking
from tests.fakes.postgres_pair import PostgresPair
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage

SHOPPERS, QUERIES = 6, 60
_FACTS = "SELECT serial, ordinal, outcome FROM verification WHERE ordinal IS NOT NULL"


class _Faulty(PostgresqlVerifications):
    """A store that tells another ordinal than the record's."""

    def __init__(self, real: PostgresqlVerifications) -> None:
        super().__init__(real._recorder, real._connections)

    def told(self, verdict: Verdict, ordinal: int) -> Verdict:
        outcome = Outcome.FIRST if ordinal == 1 else Outcome.REPEAT
        return replace(verdict, ordinal=ordinal, outcome=outcome)


class ChecksThenWrites(_Faulty):
    """Looks in one transaction and writes in the next."""

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        found = await self.preview(drafts, catalogue)
        await super().record(drafts, catalogue)
        return found


class CachesWhatItRead(_Faulty):
    """Reads how often a label was asked about once, and counts for itself from then on."""

    def __init__(self, real: PostgresqlVerifications) -> None:
        super().__init__(real)
        self.counts: Counter[int] = Counter()

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        told = []
        for draft, verdict in zip(drafts, await super().record(drafts, catalogue), strict=True):
            assert draft.label is not None
            assert verdict.ordinal is not None
            serial = draft.label.serial
            self.counts[serial] = self.counts[serial] + 1 if serial in self.counts else verdict.ordinal
            told.append(self.told(verdict, self.counts[serial]))
        return told


class ForgetsMessages(_Faulty):
    """Has no key by which a retry would be known."""

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        return await super().record([replace(draft, message_key=None) for draft in drafts], catalogue)


class ReadsAReplica(_Faulty):
    """Spares the primary: what was asked before is looked up on a server that follows it."""

    def __init__(self, real: PostgresqlVerifications, replica: Any) -> None:
        super().__init__(real)
        self.replica = replica

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        told = []
        for draft in drafts:
            assert draft.label is not None
            sql = "SELECT count FROM label_history WHERE serial = $1"
            before = await self.replica.fetchval(sql, draft.label.serial) or 0
            (verdict,) = await super().record([draft], catalogue)
            told.append(self.told(verdict, before + 1))
        return told


class GoesByTheClock(_Faulty):
    """Numbers queries by the time at which a machine says it received them."""

    def __init__(self, real: PostgresqlVerifications, wrong_by: timedelta) -> None:
        super().__init__(real)
        self.wrong_by = wrong_by

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        drafts = [replace(draft, received_at=draft.received_at + self.wrong_by) for draft in drafts]
        told = []
        for draft, verdict in zip(drafts, await super().record(drafts, catalogue), strict=True):
            sql = "SELECT count(*) FROM verification WHERE serial = $1 AND at <= $2"
            assert draft.label is not None
            at = int(draft.received_at.timestamp() * 1e6)
            rows = await self._connections.rows("Counting", sql, draft.label.serial, at)
            told.append(self.told(verdict, rows[0][0]))
        return told


async def faults_of(stage: PostgresqlStage, stores: Sequence[VerificationStore], url: str) -> list[str]:
    """Let shoppers ask about one label through the stores at random, some messages twice; return what is wrong."""
    asking, dice = Asking(stage), random.Random(6)
    catalogue = await stage.catalogues.load()
    answers: list[Answer] = []
    numbers = iter(range(QUERIES))

    async def shop() -> None:
        for number in numbers:
            draft = await asking.draft(1, catalogue=catalogue, message=number.to_bytes(16, "big"))
            started_ns = time.monotonic_ns()
            for _ in range(1 + (number % 5 == 0)):
                (verdict,) = await dice.choice(stores).record([draft], catalogue)
                assert verdict.ordinal is not None
                answers.append(
                    Answer(
                        label=1,
                        message=number,
                        ordinal=verdict.ordinal,
                        told_first=verdict.outcome is Outcome.FIRST,
                        started_ns=started_ns,
                        ended_ns=time.monotonic_ns(),
                    )
                )

    await asyncio.gather(*(shop() for _ in range(SHOPPERS)))
    connection: Any = await asyncpg.connect(url, target_session_attrs="read-write")
    try:
        rows = await connection.fetch(_FACTS)
    finally:
        await connection.close()
    record = [Recorded(label=1, ordinal=row[1], is_first=row[2] == Outcome.FIRST) for row in rows]
    return faults(answers, record)


@pytest.fixture
async def stage(plain: Prepared) -> AsyncIterator[PostgresqlStage]:
    await plain.empty()
    stage = await PostgresqlStage.open(plain.url)
    yield stage
    await stage.close()


async def test_the_real_store_keeps_one_history(stage: PostgresqlStage) -> None:
    other = await stage.other()
    assert await faults_of(stage, [stage.store, other.store], stage.url) == []


@pytest.mark.parametrize("fault", [ChecksThenWrites, CachesWhatItRead, ForgetsMessages])
async def test_a_planted_fault_is_caught(stage: PostgresqlStage, fault: type[_Faulty]) -> None:
    other = await stage.other()
    found = await faults_of(stage, [fault(stage.store), fault(other.store)], stage.url)
    expected = {
        ChecksThenWrites: "several were told the ordinals",
        CachesWhatItRead: "several were told the ordinals",
        ForgetsMessages: "answered with the ordinals",
    }
    assert any(expected[fault] in one for one in found), found


async def test_clocks_that_differ_are_caught(stage: PostgresqlStage) -> None:
    other = await stage.other()
    stores = [GoesByTheClock(stage.store, timedelta()), GoesByTheClock(other.store, timedelta(hours=-1))]
    found = await faults_of(stage, stores, stage.url)
    assert any("before a lower ordinal was asked" in one for one in found), found


@pytest.fixture
def pair() -> Iterator[PostgresPair]:
    pair = PostgresPair()
    yield pair
    pair.remove()


async def test_a_read_of_a_replica_is_caught(pair: PostgresPair) -> None:
    await pair.start()
    await upgrade_postgresql(pair.url())
    stage = await PostgresqlStage.open(pair.url())
    await issue_batches(stage.registry)
    replica: Any = await asyncpg.create_pool(pair.standby.socket_url(), min_size=1, max_size=SHOPPERS)
    try:
        await replica.execute("SELECT pg_wal_replay_pause()")  # it has every commit, and does not show it yet
        other = await stage.other()
        stores = [ReadsAReplica(each.store, replica) for each in (stage, other)]
        found = await faults_of(stage, stores, pair.url())
        await replica.execute("SELECT pg_wal_replay_resume()")
    finally:
        await replica.close()
        await stage.close()
    assert any("several were told that they are the first" in one for one in found), found
