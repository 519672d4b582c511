"""Reports on SQLite: the common promises, what they are about, what is dropped, and that words stand only sealed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.rows import from_micros
from app.adapters.storage.sqlite import SqliteStorage, open_sqlite, upgrade_sqlite
from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller, CallerKind
from app.core.model.verdict import VerificationId
from app.core.model.verification import Draft
from app.core.ports.reports import Reports
from tests.contract.reports.suite import (
    ONE,
    REPORTER,
    TWO,
    WORDS,
    Erase,
    Look,
    SealedReportsContract,
    facts,
    keeping,
)
from tests.fakes.clock import START
from tests.fakes.memory_reports import KeptReport

SEALING = AesGcmSealing({1: b"k" * 32})
OTHER_SEALING = AesGcmSealing({1: b"o" * 32})


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


@pytest.fixture
def reports(storage: SqliteStorage) -> Reports:
    return storage.reports(SEALING)


def row(tmp_path: Path, columns: str, key: bytes = ONE) -> tuple[object, ...] | None:
    with closing(sqlite3.connect(tmp_path / "record.db")) as db:
        sql = f"SELECT {columns} FROM report WHERE message_key = ?"
        found: tuple[object, ...] | None = db.execute(sql, (key,)).fetchone()
        return found


class TestSqliteReports(SealedReportsContract):
    @pytest.fixture
    def strangers(self, storage: SqliteStorage) -> Reports:
        return storage.reports(OTHER_SEALING)

    @pytest.fixture
    def look(self, tmp_path: Path) -> Look:
        async def look(key: bytes, recording: str) -> KeptReport | None:
            with closing(sqlite3.connect(tmp_path / "record.db")) as db:
                sql = (
                    "SELECT channel, account, at, sealed FROM report WHERE message_key = ? AND recording = ?"
                )
                rows = db.execute(sql, (key, recording)).fetchall()
            if not rows:
                return None
            ((channel, account, at, sealed),) = rows
            plain = SEALING.open(sealed, about=key) if sealed is not None else b""
            assert plain is not None
            return KeptReport(channel=channel, account=account, at=from_micros(at), words=plain.decode())

        return look

    @pytest.fixture
    def erase(self, storage: SqliteStorage) -> Erase:
        return storage.erase


async def test_that_there_was_a_report_stays_when_who_made_it_is_erased(
    storage: SqliteStorage, reports: Reports, tmp_path: Path
) -> None:
    await keeping(reports)(words=WORDS, reporter=REPORTER)
    assert row(tmp_path, "token") == (REPORTER.token,)
    assert REPORTER.token is not None
    await storage.erase(REPORTER.token)
    assert row(tmp_path, "recording, sealed, token, account") == (None, None, None, "mini-program")


async def test_a_report_is_linked_to_the_verification_it_is_about(
    storage: SqliteStorage, reports: Reports, tmp_path: Path
) -> None:
    draft = Draft(
        label=None,
        code_digest=b"d" * 16,
        caller=Caller(kind=CallerKind.WECHAT),
        channel="wechat",
        place="",
        received_at=START,
        message_key=TWO,
    )
    catalogue = await storage.catalogues.load()
    (told,) = await storage.verifications.record([draft], catalogue)
    assert told.verification_id is not None
    await keeping(reports)(TWO, words=WORDS)
    assert row(tmp_path, "verification", TWO) == (told.verification_id,)
    for key, named, linked in (
        (ONE, told.verification_id, told.verification_id),
        (b"report-message-3", VerificationId(99), None),
    ):
        await reports.keep(
            channel="wechat",
            account="",
            message_key=key,
            words=WORDS,
            verification_id=named,
            at=START,
        )
        assert row(tmp_path, "verification", key) == (linked,)
    linked = told.verification_id
    assert {report.verification_id for report in await reports.newest()} == {linked, None}
    with closing(sqlite3.connect(tmp_path / "record.db")) as db, db:
        db.execute("UPDATE verification SET serial = 7 WHERE id = ?", (linked,))
    read = await reports.newest()
    assert {(report.verification_id, report.serial) for report in read} == {(linked, 7), (None, None)}


async def test_words_stand_only_sealed_and_go_after_ninety_days(
    storage: SqliteStorage, reports: Reports, tmp_path: Path
) -> None:
    keep = keeping(reports)
    await keep(words=WORDS)
    await keep(TWO, recording="recording-1")
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert WORDS.encode() not in octets
    assert b"opened before" not in octets
    assert await storage.verifications.forget(START + timedelta(days=90)) == 0
    assert await storage.verifications.forget(START + timedelta(days=90, seconds=1)) == 2
    assert row(tmp_path, "recording, sealed") == (None, None)
    assert row(tmp_path, "recording, sealed", TWO) == (None, None)
    assert [facts(report) for report in await reports.newest()] == [("", "", True, False)] * 2
    assert await storage.verifications.forget(START + timedelta(days=91)) == 0


async def test_a_closed_store_is_unavailable(storage: SqliteStorage, reports: Reports) -> None:
    await storage.close()
    with pytest.raises(StoreUnavailable):
        await keeping(reports)(words=WORDS)
    with pytest.raises(StoreUnavailable):
        await reports.newest()
