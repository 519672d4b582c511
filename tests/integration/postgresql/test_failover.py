"""A standby that every commit waits for: what it does not have yet is told to nobody, whoever asks and however."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from app.adapters.storage.postgresql import upgrade_postgresql
from app.core.errors import StoreUnavailable
from app.core.model.verdict import Outcome
from tests.contract.store.sqlite_stage import issue_batches
from tests.contract.store.stage import Asking
from tests.contract.store.suite import asking
from tests.fakes.postgres_pair import PostgresPair, freeze, kill, thaw
from tests.integration.postgresql.stage import PostgresqlStage

__all__ = ["asking"]

_WAITING = "SELECT array_agg(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
async def pair() -> AsyncIterator[PostgresPair]:
    pair = PostgresPair()
    try:
        await pair.start()
        yield pair
    finally:
        pair.remove()


@pytest.fixture
async def stage(pair: PostgresPair) -> AsyncIterator[PostgresqlStage]:
    await upgrade_postgresql(pair.url())
    stage = await PostgresqlStage.open(pair.url())
    await issue_batches(stage.registry)
    yield stage
    await stage.close()


async def waiting(operator: Any, number: int) -> list[int]:
    """Return the processes of the primary that wait for the standby, once there are so many."""
    for _ in range(12_000):
        found: list[int] = await operator.fetchval(_WAITING) or []
        if len(found) == number:
            return found
        await operator.execute("SELECT pg_sleep(0.005)")
    raise AssertionError(found)


async def test_a_commit_that_its_standby_lacks_is_told_to_nobody(
    stage: PostgresqlStage, asking: Asking, pair: PostgresPair
) -> None:
    key = b"m" * 16
    other = await stage.other()
    catalogue = await stage.catalogues.load()
    draft = await asking.draft(1, catalogue=catalogue, message=key)
    operator: Any = await asyncpg.connect(pair.primary.socket_url())
    freeze(pair.standby)
    recording = asyncio.create_task(stage.store.record([draft], catalogue))
    for process in await waiting(operator, 1):
        await operator.execute("SELECT pg_cancel_backend($1)", process)
    with pytest.raises(StoreUnavailable, match="standby"):
        await recording
    # now the primary shows the fact to everybody, and the standby has it not
    assert await operator.fetchval("SELECT count(*) FROM verification") == 1
    retries = [
        asyncio.create_task(other.store.record([draft], catalogue)),
        asyncio.create_task(stage.store.find_answer(key)),
    ]
    await waiting(operator, 2)
    operator.terminate()
    kill(pair.primary)
    for retry in retries:
        with pytest.raises(StoreUnavailable):
            await retry
    thaw(pair.standby)
    pair.standby.promote()
    first = await asking.ask(1, message=key)
    assert (first.outcome, first.ordinal) == (Outcome.FIRST, 1)
    assert await asking.ask(1, message=key) == first
    assert (await asking.ask(1)).ordinal == 2
