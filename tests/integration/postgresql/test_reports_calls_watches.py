"""Reports, calls and recall watches on PostgreSQL: the suites, what is linked, and what is forgotten or erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.postgresql import PostgresqlStorage
from app.adapters.storage.rows import from_micros
from app.core.model.call import CallEnd
from app.core.model.verdict import VerificationId
from app.core.ports.call_records import CallRecords
from app.core.ports.recall_watches import RecallWatches
from app.core.ports.reports import Reports
from tests.contract.call_records.suite import CallRecordsContract, at
from tests.contract.call_records.suite import Look as LookAtCall
from tests.contract.recall_watches.suite import ONE as WATCHER
from tests.contract.recall_watches.suite import OPENID, OTHER_OPENID, RecallWatchesContract, address, wants
from tests.contract.recall_watches.suite import TWO as OTHER_WATCHER
from tests.contract.reports.suite import ONE, TWO, WORDS, Erase, Look, SealedReportsContract, facts, keeping
from tests.contract.store.stage import FULL, KNOWN, Asking
from tests.contract.store.suite import asking
from tests.fakes.clock import START
from tests.fakes.memory_call_records import KeptCall
from tests.fakes.memory_reports import KeptReport
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage

__all__ = ["asking"]
SEALING = AesGcmSealing({1: b"k" * 32})
OTHER_SEALING = AesGcmSealing({1: b"o" * 32})


@pytest.fixture
async def stage(plain: Prepared) -> AsyncIterator[PostgresqlStage]:
    await plain.empty()
    stage = await PostgresqlStage.open(plain.socket_url)
    yield stage
    await stage.close()


@pytest.fixture
def reports(stage: PostgresqlStage) -> Reports:
    return stage.storage.reports(SEALING)


@pytest.fixture
def watches(stage: PostgresqlStage) -> RecallWatches:
    return stage.storage.recall_watches(SEALING)


async def report(storage: PostgresqlStorage, columns: str, key: bytes) -> tuple[object, ...] | None:
    sql = f"SELECT {columns} FROM report WHERE message_key = $1"
    rows = await storage._connections.rows("Looking", sql, key)
    return tuple(rows[0]) if rows else None


class TestPostgresqlReports(SealedReportsContract):
    @pytest.fixture
    def strangers(self, stage: PostgresqlStage) -> Reports:
        return stage.storage.reports(OTHER_SEALING)

    @pytest.fixture
    def look(self, stage: PostgresqlStage) -> Look:
        async def look(key: bytes, recording: str) -> KeptReport | None:
            sql = "SELECT channel, account, at, sealed FROM report WHERE message_key = $1 AND recording = $2"
            rows = await stage.storage._connections.rows("Looking", sql, key, recording)
            if not rows:
                return None
            ((channel, account, when, sealed),) = rows
            plain = SEALING.open(sealed, about=key) if sealed is not None else b""
            assert plain is not None
            return KeptReport(channel=channel, account=account, at=from_micros(when), words=plain.decode())

        return look

    @pytest.fixture
    def erase(self, stage: PostgresqlStage) -> Erase:
        return stage.storage.erase


class TestPostgresqlCallRecords(CallRecordsContract):
    @pytest.fixture
    def records(self, stage: PostgresqlStage) -> CallRecords:
        return stage.storage.calls

    @pytest.fixture
    def look(self, stage: PostgresqlStage) -> LookAtCall:
        async def look(key: bytes) -> KeptCall | None:
            sql = "SELECT account, started_at, ended_at, how, seconds FROM call WHERE key = $1"
            rows = await stage.storage._connections.rows("Looking", sql, key)
            if not rows:
                return None
            ((account, started_at, ended_at, how, seconds),) = rows
            return KeptCall(
                account=account,
                started_at=from_micros(started_at),
                ended_at=None if ended_at is None else from_micros(ended_at),
                how=None if how is None else CallEnd(how),
                seconds=seconds,
            )

        return look


class TestPostgresqlRecallWatches(RecallWatchesContract):
    pass


async def test_a_report_is_linked_to_the_verification_it_is_about(
    stage: PostgresqlStage, asking: Asking, reports: Reports
) -> None:
    told = await asking.ask(1, message=TWO)
    assert told.verification_id is not None
    await keeping(reports)(TWO, words=WORDS)
    assert await report(stage.storage, "verification", TWO) == (told.verification_id,)
    for key, named, linked in (
        (ONE, told.verification_id, told.verification_id),
        (b"report-message-3", VerificationId(told.verification_id + 1), None),
        (b"report-message-4", VerificationId(2**63), None),
    ):
        await reports.keep(
            channel="wechat", account="", message_key=key, words=WORDS, verification_id=named, at=START
        )
        assert await report(stage.storage, "verification", key) == (linked,)
    serials = {read.verification_id: read.serial for read in await reports.newest()}
    assert serials.keys() == {told.verification_id, None}
    assert serials[None] is None
    assert serials[told.verification_id] is not None


async def test_words_stand_only_sealed_and_go_after_ninety_days(
    stage: PostgresqlStage, reports: Reports
) -> None:
    keep, forget = keeping(reports), stage.store.forget
    await keep(words=WORDS)
    await keep(TWO, recording="recording-1")
    rows = await stage.storage._connections.rows("Looking", "SELECT report::text FROM report")
    assert all(WORDS.encode().hex() not in row[0] and WORDS not in row[0] for row in rows)
    assert await forget(START + timedelta(days=90)) == 0
    assert await forget(START + timedelta(days=90, seconds=1)) == 2
    assert await report(stage.storage, "recording, sealed", ONE) == (None, None)
    assert await report(stage.storage, "recording, sealed", TWO) == (None, None)
    assert [facts(read) for read in await reports.newest()] == [("", "", True, False)] * 2
    assert await forget(START + timedelta(days=91)) == 0


async def test_calls_are_forgotten_after_two_years_open_or_not(stage: PostgresqlStage) -> None:
    keys = [bytes([number]) * 16 for number in range(3)]
    calls = stage.storage.calls
    for key, when in zip(keys, (0, 0, 60), strict=True):
        await calls.open(key=key, account="twilio", at=at(when))
    await calls.close(key=keys[0], account="twilio", how=CallEnd.COMPLETED, at=at(50))
    assert await stage.store.forget(at(0) + timedelta(days=730)) == 0
    assert await stage.store.forget(at(1) + timedelta(days=730)) == 2
    rows = await stage.storage._connections.rows("Looking", "SELECT key FROM call")
    assert [row[0] for row in rows] == [keys[2]]


async def test_a_watch_outlives_a_crash_and_its_key_with_it(
    stage: PostgresqlStage, asking: Asking, watches: RecallWatches
) -> None:
    await wants(watches, await asking.ask(1, token=KNOWN, channel="wechat"))
    await stage.recall(FULL)
    before = await watches.due()
    await stage.crash()
    assert await stage.storage.recall_watches(SEALING).due() == before
    assert before[0].recalled_at == START


async def test_erased_a_caller_watches_nothing_and_reads_nothing(
    stage: PostgresqlStage, asking: Asking, watches: RecallWatches
) -> None:
    told = await asking.ask(1, token=KNOWN, channel="wechat")
    for caller in (WATCHER, OTHER_WATCHER):
        told = await asking.ask(1, token=caller.token, channel="wechat")
        await wants(watches, told, caller, recipient=OPENID if caller is WATCHER else OTHER_OPENID)
    await stage.recall(FULL)
    assert await stage.storage.erase(KNOWN) == 2, "the token and the watch"
    assert [notice.address.recipient for notice in await watches.due()] == [OTHER_OPENID]
    assert await stage.storage.erase(KNOWN) == 0
    assert list(await stage.store.find_own(KNOWN, "wechat", 20, await stage.catalogues.load())) == []


async def test_what_cannot_be_a_verification_is_not_watched(
    stage: PostgresqlStage, watches: RecallWatches
) -> None:
    for number in (0, -1, 2**63):
        assert not await watches.watch(VerificationId(number), WATCHER, address(), locale="en", now=START)
