"""Recall watches on SQLite: the common promises, what lasts, what is forgotten and erased, and what stands in clear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.sealing import AesGcmSealing
from app.core.errors import StoreUnavailable
from app.core.model.verdict import VerificationId
from app.core.ports.recall_watches import RecallWatches
from tests.contract.recall_watches.suite import (
    ONE,
    OPENID,
    OTHER_OPENID,
    TWO,
    RecallWatchesContract,
    address,
    wants,
)
from tests.contract.store.sqlite_stage import SqliteStage, prepare
from tests.contract.store.stage import FULL, KNOWN, OTHER, Asking
from tests.contract.store.suite import asking
from tests.fakes.clock import START

__all__ = ["asking"]
SEALING = AesGcmSealing({1: b"k" * 32})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(prepare(tmp_path_factory.mktemp("prepared") / "record.db"))


@pytest.fixture
async def stage(prepared: Path, tmp_path: Path) -> AsyncIterator[SqliteStage]:
    stage = await SqliteStage.open(prepared, tmp_path)
    yield stage
    await stage.close()


@pytest.fixture
def watches(stage: SqliteStage) -> RecallWatches:
    return stage.storage.recall_watches(SEALING)


class TestSqliteRecallWatches(RecallWatchesContract):
    pass


async def test_a_watch_outlives_a_crash_and_its_key_with_it(
    stage: SqliteStage, asking: Asking, watches: RecallWatches
) -> None:
    await wants(watches, await asking.ask(1, token=KNOWN, channel="wechat"))
    await stage.recall(FULL)
    before = await watches.due()
    await stage.crash()
    again = stage.storage.recall_watches(SEALING)
    assert await again.due() == before
    assert before[0].recalled_at == START


async def test_an_openid_stands_nowhere_in_clear(
    stage: SqliteStage, asking: Asking, watches: RecallWatches
) -> None:
    await wants(watches, await asking.ask(1, token=KNOWN, channel="wechat"))
    octets = b"".join(file.read_bytes() for file in stage.path.parent.glob("record.db*"))
    assert OPENID.encode() not in octets


async def test_what_another_key_sealed_stops_no_other_notice(
    stage: SqliteStage, asking: Asking, watches: RecallWatches
) -> None:
    foreign = stage.storage.recall_watches(AesGcmSealing({1: b"x" * 32}))
    await wants(foreign, await asking.ask(1, token=OTHER, channel="wechat"), TWO, recipient=OTHER_OPENID)
    await wants(watches, await asking.ask(1, token=KNOWN, channel="wechat"))
    await stage.recall(FULL)
    assert [notice.address.recipient for notice in await watches.due(limit=1)] == [OPENID]
    assert [notice.address.recipient for notice in await foreign.due(limit=1)] == [OTHER_OPENID]


async def test_watches_are_forgotten_after_two_years(
    stage: SqliteStage, asking: Asking, watches: RecallWatches
) -> None:
    told = await asking.ask(1, token=KNOWN, channel="wechat")
    await wants(watches, told)
    await stage.recall(FULL)
    assert told.recorded_at is not None
    kept_until = told.recorded_at + timedelta(days=730, seconds=1)
    await stage.forget(kept_until)
    assert len(await watches.due()) == 1
    await stage.forget(kept_until + timedelta(seconds=1))
    assert await watches.due() == []


async def test_erased_a_caller_watches_nothing(
    stage: SqliteStage, asking: Asking, watches: RecallWatches
) -> None:
    for caller in (ONE, TWO):
        told = await asking.ask(1, token=caller.token, channel="wechat")
        await wants(watches, told, caller, recipient=OPENID if caller is ONE else OTHER_OPENID)
    await stage.recall(FULL)
    assert await stage.storage.erase(KNOWN) == 2, "the token and the watch"
    assert [notice.address.recipient for notice in await watches.due()] == [OTHER_OPENID]
    assert await stage.storage.erase(KNOWN) == 0


async def test_a_closed_store_is_unavailable_in_every_method(
    stage: SqliteStage, asking: Asking, watches: RecallWatches
) -> None:
    await wants(watches, await asking.ask(1, token=KNOWN, channel="wechat"))
    await stage.recall(FULL)
    due = await watches.due()
    await stage.close()
    for step in (
        lambda: watches.watch(VerificationId(1), ONE, address(), locale="en", now=START),
        watches.due,
        lambda: watches.end(due),
    ):
        with pytest.raises(StoreUnavailable):
            await step()
