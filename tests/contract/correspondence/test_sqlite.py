"""The SQLite correspondence: the common promises, what lasts, what is forgotten and what is erased."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.storage.sqlite import SqliteStorage, open_sqlite, upgrade_sqlite
from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller, CallerKind
from app.core.model.verification import Draft
from app.core.ports.correspondence import Change, Correspondence, Correspondent, NoticeKind
from tests.contract.correspondence.suite import DAY, ONE, TWO, CorrespondenceContract
from tests.fakes.clock import START

ENGLISH = Change(locale="en")
CHOSEN = Correspondent(locale="en")


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


def rows(tmp_path: Path, table: str) -> int:
    with closing(sqlite3.connect(tmp_path / "record.db")) as db:
        count: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return count


class TestSqliteCorrespondence(CorrespondenceContract):
    @pytest.fixture
    def correspondence(self, storage: SqliteStorage) -> Correspondence:
        return storage.correspondence


async def test_two_processes_keep_one_correspondence(storage: SqliteStorage, tmp_path: Path) -> None:
    other = await open_sqlite(tmp_path / "record.db")
    try:
        await storage.correspondence.change(ONE, ENGLISH, message_key=b"1" * 16, now=START)
        assert await other.correspondence.find(ONE, now=START) == CHOSEN
        claims = await asyncio.gather(
            *(
                (storage, other)[number % 2].correspondence.claim_notice(
                    ONE, NoticeKind.HELP, message_key=bytes([number]) * 16, now=START, until=DAY
                )
                for number in range(40)
            )
        )
        assert sum(claims) == 1
    finally:
        await other.close()


async def test_what_a_caller_chose_outlives_a_stop(storage: SqliteStorage, tmp_path: Path) -> None:
    await storage.correspondence.change(ONE, ENGLISH, message_key=b"1" * 16, now=START)
    await storage.correspondence.claim_notice(
        ONE, NoticeKind.HELP, message_key=b"m" * 16, now=START, until=DAY
    )
    await storage.close()
    again = await open_sqlite(tmp_path / "record.db")
    try:
        assert await again.correspondence.find(ONE, now=START) == CHOSEN
        assert not await again.correspondence.claim_notice(
            ONE, NoticeKind.HELP, message_key=b"n" * 16, now=START, until=DAY
        )
    finally:
        await again.close()


async def test_the_silent_are_forgotten_and_an_opt_out_is_not(storage: SqliteStorage, tmp_path: Path) -> None:
    out = Correspondent(opted_out=True)
    await storage.correspondence.change(ONE, ENGLISH, message_key=b"1" * 16, now=START)
    await storage.correspondence.change(TWO, Change(opted_out=True), message_key=b"2" * 16, now=START)
    await storage.correspondence.claim_notice(
        ONE, NoticeKind.HELP, message_key=b"m" * 16, now=START, until=DAY
    )
    assert await storage.verifications.forget(DAY - timedelta(seconds=1)) == 0
    assert await storage.verifications.forget(DAY) == 1
    assert rows(tmp_path, "notice") == 0
    await storage.verifications.forget(START + timedelta(days=730))
    assert await storage.correspondence.find(ONE, now=START) == CHOSEN
    await storage.verifications.forget(START + timedelta(days=731))
    assert await storage.correspondence.find(ONE, now=START) == Correspondent()
    assert await storage.correspondence.find(TWO, now=START) == out


async def test_spending_of_past_days_is_forgotten(storage: SqliteStorage) -> None:
    for day in ("2026-03-01", "2026-03-02", "2026-03-05"):
        await storage.spending.add(day, [("segment", b"", 9), ("segment", b"caller-number-01", 2)])
    assert await storage.verifications.forget(START) == 2
    assert await storage.spending.load("2026-03-01") == {}
    assert await storage.spending.load("2026-03-02") == {
        ("segment", b""): 9,
        ("segment", b"caller-number-01"): 2,
    }


async def test_erased_nothing_is_left_of_a_caller_but_the_fact(
    storage: SqliteStorage, tmp_path: Path
) -> None:
    draft = Draft(
        label=None,
        code_digest=b"d" * 16,
        caller=Caller(kind=CallerKind.PHONE, token=ONE.token),
        channel="sms",
        place="北京",
        received_at=START,
    )
    catalogue = await storage.catalogues.load()
    (told,) = await storage.verifications.record([draft], catalogue)
    for caller in (ONE, TWO):
        await storage.correspondence.change(
            caller, ENGLISH, message_key=bytes([caller.key_id]) * 16, now=START
        )
        for kind in NoticeKind:
            await storage.correspondence.claim_notice(
                caller, kind, message_key=b"m" * 16, now=START, until=DAY
            )
    assert ONE.token is not None
    assert TWO.token is not None
    await storage.spending.add("2026-03-05", [("segment", token, 2) for token in (b"", ONE.token, TWO.token)])
    assert await storage.erase(ONE.token) == 3 + len(NoticeKind)
    assert await storage.erase(ONE.token) == 0
    left = [rows(tmp_path, table) for table in ("caller", "correspondent", "notice", "spending")]
    assert left == [0, 1, len(NoticeKind), 2]
    assert told.verification_id is not None
    record = await storage.verifications.find_record(told.verification_id, ONE.token, catalogue)
    assert record is not None
    assert not record.asked_by_reader
    assert await storage.correspondence.find(TWO, now=START) == CHOSEN
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert ONE.token not in octets, "erased is overwritten, in the log as well, while the service goes on"
    assert TWO.token in octets


async def test_a_closed_store_is_unavailable_in_every_method(storage: SqliteStorage) -> None:
    await storage.close()
    for broken in (
        lambda: storage.correspondence.find(ONE, now=START),
        lambda: storage.correspondence.change(ONE, ENGLISH, message_key=b"1" * 16, now=START),
        lambda: storage.correspondence.claim_notice(
            ONE, NoticeKind.HELP, message_key=b"m" * 16, now=START, until=DAY
        ),
        lambda: storage.spending.load("2026-03-05"),
        lambda: storage.spending.add("2026-03-05", [("segment", b"", 1)]),
        lambda: storage.erase(b"caller-number-01"),
    ):
        with pytest.raises(StoreUnavailable):
            await broken()
