"""The bridge keeps the promises of the store, its log tells what a device must keep, and calls fail where told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.adapters.storage.sqlite import open_sqlite, upgrade_sqlite
from app.adapters.storage.sqlite.database import open_connection
from app.core.errors import StoreUnavailable
from tests.contract.store.durable_suite import DurableStoreContract
from tests.contract.store.sqlite_stage import OFTEN, SqliteStage, prepare
from tests.contract.store.stage import Asking, DurableStage
from tests.proof.files.bridge import Connection, bridged
from tests.proof.files.vfs import Named, Synced, WatchedFiles, Wrote, disk_full, io_error, nth


@pytest.fixture
def files(tmp_path: Path) -> Iterator[WatchedFiles]:
    folder = tmp_path / "watched"
    folder.mkdir()
    watched = WatchedFiles(folder)
    with bridged(watched):
        yield watched
    watched.end()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(prepare(tmp_path_factory.mktemp("prepared") / "record.db"))


class TestDurableStoreOnWatchedFiles(DurableStoreContract):
    @pytest.fixture
    async def stage(self, prepared: Path, files: WatchedFiles) -> AsyncIterator[DurableStage]:
        stage = await SqliteStage.open(prepared, files.folder, OFTEN)
        yield stage
        await stage.close()
        assert files.operations

    @pytest.fixture
    def asking(self, stage: DurableStage) -> Asking:
        return Asking(stage)


async def test_a_start_that_cannot_make_the_name_of_its_log_durable_is_refused(files: WatchedFiles) -> None:
    path = files.folder / "record.db"
    upgrade_sqlite(path)
    files.before = nth(1, lambda call: io_error(call.kind), frozenset({"folder"}))
    with pytest.raises(StoreUnavailable, match="Syncing the folder"):
        await open_sqlite(path)
    storage = await open_sqlite(path)
    await storage.close()


def test_the_log_names_what_was_made_written_and_synced(files: WatchedFiles) -> None:
    path = files.folder / "record.db"
    upgrade_sqlite(path)
    connection = open_connection(path)
    assert type(connection) is Connection
    connection.close()
    named = [(op.name, op.file is not None, op.folder) for op in files.operations if isinstance(op, Named)]
    assert named[:3] == [
        ("record.db", True, False),
        ("record.db-journal", True, False),
        ("record.db-journal", False, False),
    ]
    assert ("record.db-wal", True, False) in named
    contents = bytearray()
    for op in files.operations:
        if isinstance(op, Wrote) and op.file == 1:
            contents[op.offset : op.offset + len(op.data)] = op.data
    assert bytes(contents[:16]) == b"SQLite format 3\0"
    assert any(isinstance(op, Synced) and op.folder for op in files.operations)


def test_a_call_fails_where_told_and_no_other(files: WatchedFiles) -> None:
    path = files.folder / "record.db"
    upgrade_sqlite(path)
    connection = open_connection(path)
    for error in (lambda call: io_error(call.kind), lambda _call: disk_full()):
        files.before = nth(1, error, frozenset({"write"}))
        with pytest.raises(sqlite3.OperationalError, match=r"disk I/O error|disk is full"):
            connection.execute("INSERT INTO key_check VALUES ('a', 'b')")
    connection.execute("INSERT INTO key_check VALUES ('a', 'b')")
    files.cut_power()
    with pytest.raises(StoreUnavailable):
        open_connection(path)
    files.before = None
    assert connection.execute("SELECT count(*) FROM key_check").fetchone() == (1,)
    connection.close()
