"""Call records on SQLite: the common promises, what lasts, what is forgotten, and that nobody stands in them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.storage.rows import from_micros
from app.adapters.storage.sqlite import SqliteStorage, open_sqlite, upgrade_sqlite
from app.core.errors import StoreUnavailable
from app.core.model.call import CallEnd
from app.core.ports.call_records import CallRecords
from tests.contract.call_records.suite import CallRecordsContract, Look, at, began, ended
from tests.fakes.memory_call_records import KeptCall


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "record.db"
    upgrade_sqlite(path)
    return path


@pytest.fixture
async def storage(prepared: Path, tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    shutil.copy(prepared, tmp_path / "record.db")
    storage = await open_sqlite(tmp_path / "record.db")
    yield storage
    await storage.close()


def row(tmp_path: Path, key: bytes) -> KeptCall | None:
    with closing(sqlite3.connect(tmp_path / "record.db")) as db:
        sql = "SELECT account, started_at, ended_at, how, seconds FROM call WHERE key = ?"
        found = db.execute(sql, (key,)).fetchone()
    if found is None:
        return None
    account, started_at, ended_at, how, seconds = found
    return KeptCall(
        account=account,
        started_at=from_micros(started_at),
        ended_at=None if ended_at is None else from_micros(ended_at),
        how=None if how is None else CallEnd(how),
        seconds=seconds,
    )


class TestSqliteCallRecords(CallRecordsContract):
    @pytest.fixture
    def records(self, storage: SqliteStorage) -> CallRecords:
        return storage.calls

    @pytest.fixture
    def look(self, storage: SqliteStorage, tmp_path: Path) -> Look:
        async def look(key: bytes) -> KeptCall | None:
            return row(tmp_path, key)

        return look


async def test_calls_are_forgotten_after_two_years_open_or_not(
    storage: SqliteStorage, tmp_path: Path
) -> None:
    keys = [bytes([number]) * 16 for number in range(3)]
    for key, when in zip(keys, (0, 0, 60), strict=True):
        await storage.calls.open(key=key, account="twilio", at=at(when))
    await storage.calls.close(key=keys[0], account="twilio", how=CallEnd.COMPLETED, at=at(50))
    assert await storage.verifications.forget(at(0) + timedelta(days=730)) == 0
    assert await storage.verifications.forget(at(1) + timedelta(days=730)) == 2
    assert [row(tmp_path, key) is None for key in keys] == [True, True, False]


async def test_a_closed_store_is_unavailable(storage: SqliteStorage) -> None:
    await storage.close()
    for step in (began(), ended(CallEnd.COMPLETED, 1)):
        with pytest.raises(StoreUnavailable):
            await step(storage.calls)
