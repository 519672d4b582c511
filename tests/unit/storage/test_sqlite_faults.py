"""What the SQLite store says when its file is locked, full, damaged, gone or closed, and that it recovers."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.adapters.storage.sqlite import open_sqlite, upgrade_sqlite, writer
from app.adapters.storage.sqlite.database import open_connection
from app.core.errors import SchemaOutdated, StoreUnavailable
from app.core.model.label import LabelState
from app.core.model.verdict import Outcome, VerificationId
from tests.contract.store.sqlite_stage import OFTEN, SqliteStage, prepare
from tests.contract.store.stage import FULL, KNOWN, Asking
from tests.fakes.clock import START


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[SqliteStage]:
    stage = await SqliteStage.open(await prepare(tmp_path / "prepared.db"), tmp_path, OFTEN)
    yield stage
    await stage.close()


@contextmanager
def full_disk(bytes_left_at: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as a full disk would not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left_at, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)


async def test_a_full_disk_is_unavailable_and_nothing_of_it_stays(stage: SqliteStage) -> None:
    asking = Asking(stage)
    told = await asking.ask(1, token=KNOWN)
    drafts = [await asking.draft(1, token=KNOWN, message=b"m" * 16), await asking.draft(2)]
    catalogue = await stage.catalogues.load()
    with full_disk(4096):
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="disk space"):
                await stage.store.record(drafts, catalogue)
        with pytest.raises(StoreUnavailable):
            await stage.store.check()
        with pytest.raises(StoreUnavailable):
            await stage.registry.add_brand(name="x")
        assert await stage.store.find_answer(b"m" * 16) is None
    assert (await stage.catalogues.load()).version == catalogue.version
    again = await stage.store.record(drafts, catalogue)
    assert [verdict.ordinal for verdict in again] == [2, 1]
    assert again[0].own_first_at == told.recorded_at
    await stage.reopen()
    assert (await asking.ask(1)).ordinal == 3


async def test_a_lock_held_too_long_is_unavailable_and_then_all_is_well(
    stage: SqliteStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_S", 0.05)
    asking = Asking(stage)
    draft = await asking.draft(1)
    catalogue = await stage.catalogues.load()
    with closing(sqlite3.connect(stage.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await stage.store.record([draft], catalogue)
        other.execute("ROLLBACK")
    assert [verdict.ordinal for verdict in await stage.store.record([draft], catalogue)] == [1]


async def test_a_file_that_refuses_writing_is_unavailable_until_it_no_longer_does(stage: SqliteStage) -> None:
    asking = Asking(stage)
    told = await asking.ask(1, message=b"m" * 16)
    connection = stage.store._writer._connection
    connection.execute("PRAGMA query_only=ON").fetchall()  # between two jobs, so the thread does not use it
    with pytest.raises(StoreUnavailable, match="readonly"):
        await asking.ask(1)
    connection.execute("PRAGMA query_only=OFF").fetchall()
    assert await stage.store.find_answer(b"m" * 16) == told
    assert (await asking.ask(1)).ordinal == 2


async def test_a_closed_store_is_unavailable_in_every_method(stage: SqliteStage) -> None:
    asking = Asking(stage)
    draft, catalogue = await asking.draft(1), await stage.catalogues.load()
    await stage.storage.close()
    for broken in (
        lambda: stage.store.record([draft], catalogue),
        lambda: stage.store.find_answer(b"m" * 16),
        lambda: stage.store.find_record(VerificationId(1), None, catalogue),
        stage.store.check,
        lambda: stage.store.forget(START),
        stage.catalogues.load,
        stage.catalogues.version,
        lambda: stage.catalogues.find_imported(b"d" * 16),
        stage.registry.brands,
        lambda: stage.registry.add_brand(name="x"),
        lambda: stage.registry.put_key_checks({"tag/1": "aa"}),
    ):
        with pytest.raises(StoreUnavailable):
            await broken()
    await stage.storage.close()


async def test_what_is_no_database_is_told_at_the_opening(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    with pytest.raises(StoreUnavailable):
        await open_sqlite(path)
    assert not path.exists()
    path.write_bytes(b"this is no database, whatever its name says" * 200)
    with pytest.raises(StoreUnavailable):
        await open_sqlite(path)
    path.write_bytes(b"")
    with pytest.raises(SchemaOutdated, match="db upgrade"):
        await open_sqlite(path)
    assert upgrade_sqlite(path)
    await (await open_sqlite(path)).close()


async def test_a_damaged_page_is_unavailable_not_an_answer(stage: SqliteStage) -> None:
    asking = Asking(stage)
    await asking.ask(1, message=b"m" * 16)
    catalogue = await stage.catalogues.load()
    draft = await asking.draft(1)
    await stage.storage.close()
    content = bytearray(stage.path.read_bytes())
    with closing(sqlite3.connect(stage.path)) as db:
        page_size = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'verification'").fetchone()[0]
    content[(root - 1) * page_size : root * page_size] = b"\xee" * page_size
    stage.path.write_bytes(content)
    stage.storage = await open_sqlite(stage.path)
    with pytest.raises(StoreUnavailable):
        await stage.store.record([draft], catalogue)


async def test_the_pragmas_are_those_of_a_durable_record(stage: SqliteStage) -> None:
    with closing(open_connection(stage.path)) as db:
        found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert found == ["wal", 2]


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_look_at_the_catalogue_leaves_nothing_open(stage: SqliteStage, turns: int) -> None:
    """Wherever a deadline strikes: later looks must see later changes."""
    looking = asyncio.create_task(stage.catalogues.load())
    for _ in range(turns):
        await asyncio.sleep(0)
    looking.cancel()
    await asyncio.wait((looking,))
    await stage.change(FULL, 0, 0, LabelState.VOIDED)
    catalogue = await stage.catalogues.load()
    assert catalogue.label(catalogue.batches[FULL].first_serial, catalogue.batches[FULL]).state == "voided"
    assert await stage.catalogues.version() == catalogue.version
    assert (await Asking(stage).ask(0)).outcome is Outcome.VOIDED


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_change_is_whole_or_not_at_all(stage: SqliteStage, turns: int) -> None:
    before = await stage.catalogues.version()
    changing = asyncio.create_task(stage.registry.add_brand(name="x"))
    for _ in range(turns):
        await asyncio.sleep(0)
    changing.cancel()
    await asyncio.wait((changing,))
    brands = await stage.registry.brands()
    assert (await stage.catalogues.version() > before) == (len(brands) == 3)
    await stage.registry.add_brand(name="y")
    assert (await stage.registry.brands())[-1].name == "y"


async def test_idle_the_store_folds_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "IDLE_S", 0.01)
    stage = await SqliteStage.open(await prepare(tmp_path / "prepared.db"), tmp_path)
    try:
        await Asking(stage).ask(1)
        with closing(sqlite3.connect(stage.path)) as db:
            give_up_at = time.monotonic() + 30
            while db.execute("SELECT through FROM fold").fetchone()[0] < 1 and time.monotonic() < give_up_at:
                await stage.catalogues.version()  # something to do meanwhile
            assert db.execute("SELECT count FROM label_history").fetchall() == [(1,)]
    finally:
        await stage.close()
