"""The SQLite outbox: the common promises, what lasts beyond a crash, and that nothing can be read in the files."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.sqlite import SqliteStorage, open_sqlite, upgrade_sqlite
from app.adapters.storage.sqlite.outbox import SqliteOutbox
from app.core.errors import StoreUnavailable
from app.core.model.reply import Accepted, Delivery, GivenUp, PutOff, Worded
from app.core.ports.outbox import Outbox
from tests.contract.outbox.suite import (
    ADDRESS,
    NUMBER,
    OURS,
    QUESTION,
    TEXT,
    OutboxContract,
    at,
    key,
    owe_text,
    take_one,
    taken,
)

SEALING = AesGcmSealing({1: b"k" * 32})


class OutboxStage:
    """An outbox on a file of its own, which can crash."""

    def __init__(self, path: Path, storage: SqliteStorage) -> None:
        self.path = path
        self.storage = storage

    @property
    def outbox(self) -> SqliteOutbox:
        return self.storage.outbox(SEALING)

    async def crash(self) -> None:
        """Go on with a copy of the files as a killed process would leave them."""
        left_behind, self.path = self.path, self.path.with_name(self.path.name + ".after")
        for suffix in ("", "-wal"):
            shutil.copy(
                left_behind.with_name(left_behind.name + suffix), self.path.with_name(self.path.name + suffix)
            )
        await self.storage.close()
        self.storage = await open_sqlite(self.path)

    def bytes(self) -> bytes:
        """Everything that stands in the files."""
        return b"".join(file.read_bytes() for file in sorted(self.path.parent.glob("replies.db*")))

    def row(self, columns: str) -> tuple[object, ...]:
        with closing(sqlite3.connect(self.path)) as db:
            row: tuple[object, ...] = db.execute(f"SELECT {columns} FROM reply").fetchone()
            return row


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "replies.db"
    upgrade_sqlite(path)
    return path


@pytest.fixture
async def stage(prepared: Path, tmp_path: Path) -> AsyncIterator[OutboxStage]:
    path = tmp_path / "replies.db"
    shutil.copy(prepared, path)
    stage = OutboxStage(path, await open_sqlite(path))
    yield stage
    await stage.storage.close()


class TestSqliteOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self, stage: OutboxStage) -> Outbox:
        return stage.outbox


# -- after a crash --------------------------------------------------------------------------------------------------


async def test_what_is_owed_outlives_a_crash(stage: OutboxStage) -> None:
    await stage.outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION, more_codes=True)
    await owe_text(stage.outbox, 2)
    await stage.crash()
    assert not await owe_text(stage.outbox, 1)
    asked, told = await stage.outbox.take(at(1))
    assert (asked.question, asked.more_codes, asked.address) == (QUESTION, True, ADDRESS)
    assert (told.text, told.tries, told.doubtful) == (TEXT, 1, False)


async def test_what_was_being_sent_at_a_crash_is_doubtful_after_its_lease(stage: OutboxStage) -> None:
    await taken(stage.outbox)
    await stage.crash()
    assert not await stage.outbox.take(at(60))
    again = await take_one(stage.outbox, 61)
    assert (again.text, again.tries, again.doubts, again.doubtful) == (TEXT, 2, 1, True)
    assert again.tried_at == at(1)


async def test_a_wording_and_a_settlement_outlive_a_crash(stage: OutboxStage) -> None:
    await stage.outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION)
    asked = await take_one(stage.outbox, 1)
    await stage.outbox.settle(asked.id, Worded(text=TEXT), now=at(2))
    await stage.crash()
    told = await take_one(stage.outbox, 2)
    assert (told.text, told.question, told.doubtful) == (TEXT, None, False)
    await stage.outbox.settle(told.id, Accepted(provider_id="p1"), now=at(3))
    await stage.crash()
    assert not await stage.outbox.take(at(10_000))
    assert await stage.outbox.known_ids("twilio", ["p1"]) == {"p1"}
    assert not await owe_text(stage.outbox)


async def test_two_processes_never_send_the_same(stage: OutboxStage) -> None:
    other = await open_sqlite(stage.path)
    try:
        sides = (stage.outbox, other.outbox(SEALING))
        owed = await asyncio.gather(*(owe_text(sides[turn % 2], turn // 2) for turn in range(80)))
        assert sum(owed) == 40
        shares = await asyncio.gather(*(sides[turn % 2].take(at(1), limit=3) for turn in range(32)))
        keys = [reply.key for share in shares for reply in share]
        assert sorted(keys) == [key(number) for number in range(40)]
    finally:
        await other.close()


# -- nothing in clear -----------------------------------------------------------------------------------------------


async def test_the_files_tell_neither_number_nor_text_nor_code(stage: OutboxStage) -> None:
    secrets = [NUMBER, NUMBER[3:], OURS, TEXT, QUESTION.code.digits, "1601234567890123", "SM0123456789"]
    secrets += ["idempotency-1", QUESTION.place, "rejected by a stranger"]
    assert QUESTION.caller.token is not None
    hidden = [secret.encode() for secret in secrets] + [
        QUESTION.caller.token,
        QUESTION.caller.token.hex().encode(),
    ]
    outbox = stage.outbox
    await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION)
    for number in range(2, 5):
        await owe_text(outbox, number)
    for reply in await outbox.take(at(1)):
        await outbox.settle(reply.id, Worded(text=TEXT), now=at(1))
        await outbox.settle(reply.id, PutOff(until=at(2), doubtful=True), now=at(1))
    content = stage.bytes()
    assert b"twilio" in content
    assert [secret for secret in hidden if secret in content] == []
    for reply in await outbox.take(at(2)):
        await outbox.settle(reply.id, Accepted(provider_id="p1"), now=at(3))
    await stage.storage.close()
    assert [secret for secret in hidden if secret in stage.bytes()] == []


@pytest.mark.parametrize("settlement", [Accepted(provider_id="p1"), GivenUp(why="rejected")])
async def test_a_settled_reply_keeps_nothing_of_its_contents(
    stage: OutboxStage, settlement: Accepted | GivenUp
) -> None:
    reply = await taken(stage.outbox)
    assert stage.row("state, sealed IS NULL") == ("sending", 0)
    await stage.outbox.settle(reply.id, settlement, now=at(2))
    assert stage.row("sealed, doubtful, coalesce(why, provider_id)") == (
        None,
        0,
        settlement.why if isinstance(settlement, GivenUp) else "p1",
    )


async def test_a_report_erases_the_contents_as_well(stage: OutboxStage) -> None:
    reply = await taken(stage.outbox)
    await stage.outbox.note_delivery(
        "twilio", provider_id="", reply_id=reply.id, state=Delivery.SENT, now=at(2)
    )
    assert stage.row("state, sealed, delivery") == ("sent", None, "sent")


async def test_a_reply_of_another_key_file_waits_for_it_and_holds_nobody_up(stage: OutboxStage) -> None:
    foreign = stage.storage.outbox(AesGcmSealing({1: b"x" * 32}))
    for number in range(20):
        await owe_text(foreign, number)
    await owe_text(stage.outbox, 100, seconds=1)
    assert not await stage.outbox.take(at(2))
    assert [reply.key for reply in await stage.outbox.take(at(2))] == [key(100)]
    assert not await foreign.take(at(2))
    back = await foreign.take(at(602), limit=50)
    assert len([reply for reply in back if not reply.doubtful and reply.tries == 1]) == 20


async def test_a_sealed_row_moved_to_another_reply_does_not_open(stage: OutboxStage) -> None:
    await owe_text(stage.outbox, 1)
    await owe_text(stage.outbox, 2)
    with closing(sqlite3.connect(stage.path)) as db, db:
        db.execute("UPDATE reply SET sealed = (SELECT sealed FROM reply WHERE id = 1) WHERE id = 2")
    assert [reply.key for reply in await stage.outbox.take(at(1))] == [key(1)]


@pytest.mark.parametrize("plain", [b"", b"null", b"[]", b'{"sender": "a"}', b'{"question": 1}', b"\xff"])
async def test_a_row_that_this_release_cannot_read_holds_nobody_up(stage: OutboxStage, plain: bytes) -> None:
    await owe_text(stage.outbox, 1)
    await owe_text(stage.outbox, 2, seconds=1)
    with closing(sqlite3.connect(stage.path)) as db, db:
        db.execute("UPDATE reply SET sealed = ? WHERE id = 1", (SEALING.seal(plain, about=key(1)),))
    assert [reply.key for reply in await stage.outbox.take(at(2))] == [key(2)]


# -- reports, age, trouble ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(Delivery)))
async def test_reports_in_any_order_end_the_same(stage: OutboxStage, order: tuple[Delivery, ...]) -> None:
    reply = await taken(stage.outbox)
    await stage.outbox.settle(reply.id, Accepted(provider_id="p1"), now=at(2))
    for number, state in enumerate(order):
        await stage.outbox.note_delivery(
            "twilio", provider_id="p1", reply_id=None, state=state, now=at(3 + number)
        )
    assert stage.row("delivery") == ("delivered",)


async def test_replies_are_known_for_a_week_and_then_forgotten(stage: OutboxStage) -> None:
    reply = await taken(stage.outbox, 1)
    await stage.outbox.settle(reply.id, Accepted(provider_id="p1"), now=at(2))
    await owe_text(stage.outbox, 2)
    await stage.storage.verifications.forget(at(0) + timedelta(days=7))
    assert await stage.outbox.knows(key(1))
    assert await stage.outbox.knows(key(2))
    assert await stage.storage.verifications.forget(at(1) + timedelta(days=8)) == 2
    assert not await stage.outbox.knows(key(1))
    assert not await stage.outbox.knows(key(2))


async def test_a_taker_that_gives_up_loses_no_reply(stage: OutboxStage) -> None:
    await owe_text(stage.outbox)
    for turns in range(6):
        taking = asyncio.create_task(stage.outbox.take(at(1)))
        for _ in range(turns):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait((taking,))
    await owe_text(stage.outbox, 2, seconds=1)  # what was asked for before is committed by now
    assert key(1) in {reply.key for reply in await stage.outbox.take(at(62))}


async def test_a_closed_store_is_unavailable_in_every_method(stage: OutboxStage) -> None:
    outbox = stage.outbox
    reply = await taken(outbox)
    await stage.storage.close()
    for broken in (
        lambda: owe_text(outbox, 2),
        lambda: outbox.knows(key(1)),
        lambda: outbox.take(at(100)),
        lambda: outbox.settle(reply.id, Accepted(), now=at(2)),
        lambda: outbox.note_delivery("a", provider_id="p", reply_id=None, state=Delivery.SENT, now=at(2)),
        lambda: outbox.known_ids("a", ["p"]),
    ):
        with pytest.raises(StoreUnavailable):
            await broken()


async def test_a_failed_commit_fails_every_write_that_shared_it_and_later_ones_go_on(
    stage: OutboxStage,
) -> None:
    outbox = stage.outbox
    connection = stage.storage._writer._connection
    connection.execute("PRAGMA query_only=ON").fetchall()  # between two jobs, so the thread does not use it
    told = await asyncio.gather(*(owe_text(outbox, number) for number in range(5)), return_exceptions=True)
    connection.execute("PRAGMA query_only=OFF").fetchall()
    assert [type(answer) for answer in told] == [StoreUnavailable] * 5
    assert await owe_text(outbox, 1)
    assert len(await outbox.take(at(1))) == 1
