"""The outbox and the correspondence on PostgreSQL: the suites, a crash, two processes, and what is forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.postgresql import PostgresqlStorage, open_postgresql
from app.core.errors import StoreUnavailable
from app.core.model.reply import Accepted, Delivery, GivenUp, PutOff, Worded
from app.core.ports.correspondence import Change, Correspondence, Correspondent, NoticeKind
from app.core.ports.outbox import Outbox
from tests.contract.correspondence.suite import DAY, ONE, TWO, CorrespondenceContract
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
from tests.fakes.clock import START
from tests.integration.postgresql.prepared import Prepared

SEALING = AesGcmSealing({1: b"k" * 32})
ENGLISH = Change(locale="en")


class TestPostgresqlOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self, storage: PostgresqlStorage) -> Outbox:
        return storage.outbox(SEALING)


class TestPostgresqlCorrespondence(CorrespondenceContract):
    @pytest.fixture
    def correspondence(self, storage: PostgresqlStorage) -> Correspondence:
        return storage.correspondence


@pytest.fixture
def outbox(storage: PostgresqlStorage) -> Outbox:
    return storage.outbox(SEALING)


async def test_what_was_being_sent_at_a_crash_is_doubtful_after_its_lease(
    storage: PostgresqlStorage, plain: Prepared
) -> None:
    await taken(storage.outbox(SEALING))
    storage._recorder.drop()
    storage._connections.drop()
    after = await open_postgresql(plain.url)
    try:
        outbox = after.outbox(SEALING)
        assert not await outbox.take(at(60))
        again = await take_one(outbox, 61)
        assert (again.text, again.tries, again.doubts, again.doubtful) == (TEXT, 2, 1, True)
        assert again.tried_at == at(1)
    finally:
        await after.close()


async def test_two_processes_never_owe_or_send_the_same(storage: PostgresqlStorage, plain: Prepared) -> None:
    other = await open_postgresql(plain.url)
    try:
        sides = (storage.outbox(SEALING), other.outbox(SEALING))
        owed = await asyncio.gather(*(owe_text(sides[turn % 2], turn // 2) for turn in range(80)))
        assert sum(owed) == 40
        shares = await asyncio.gather(*(sides[turn % 2].take(at(1), limit=3) for turn in range(32)))
        keys = [reply.key for share in shares for reply in share]
        assert len(set(keys)) == len(keys)
        rest = await sides[0].take(at(1), limit=40)  # who passed over another's rows may have taken fewer
        assert sorted(keys + [reply.key for reply in rest]) == [key(number) for number in range(40)]
    finally:
        await other.close()


async def test_either_id_of_a_message_owes_one_reply_however_they_meet(
    storage: PostgresqlStorage, outbox: Outbox
) -> None:
    pairs = [(key(1), key(2)), (key(2), key(1)), (key(1), None), (key(3), key(1))] * 5
    owed = await asyncio.gather(
        *(outbox.owe(one, ADDRESS, now=at(0), text=TEXT, alias=other) for one, other in pairs)
    )
    assert sum(owed) == 1


async def test_the_tables_tell_neither_number_nor_text_nor_code(
    storage: PostgresqlStorage, outbox: Outbox
) -> None:
    await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION)
    for number in range(2, 5):
        await owe_text(outbox, number)
    for reply in await outbox.take(at(1)):
        await outbox.settle(reply.id, Worded(text=TEXT), now=at(1))
        await outbox.settle(reply.id, PutOff(until=at(2), doubtful=True), now=at(1))
    rows = await storage._connections.rows("Looking", "SELECT reply::text FROM reply")
    content = "\n".join(row[0] for row in rows)
    assert "twilio" in content
    for secret in (NUMBER, NUMBER[3:], OURS, TEXT, QUESTION.code.digits, "SM0123456789", QUESTION.place):
        assert secret not in content
        assert secret.encode().hex() not in content


@pytest.mark.parametrize("settlement", [Accepted(provider_id="p1"), GivenUp(why="rejected")])
async def test_a_settled_reply_keeps_nothing_of_its_contents(
    storage: PostgresqlStorage, outbox: Outbox, settlement: Accepted | GivenUp
) -> None:
    reply = await taken(outbox)
    await outbox.settle(reply.id, settlement, now=at(2))
    sql = "SELECT sealed, doubtful, coalesce(why, provider_id) FROM reply"
    (row,) = await storage._connections.rows("Looking", sql)
    word = settlement.why if isinstance(settlement, GivenUp) else "p1"
    assert tuple(row) == (None, False, word)


async def test_a_reply_of_another_key_file_waits_for_it_and_holds_nobody_up(
    storage: PostgresqlStorage, outbox: Outbox
) -> None:
    foreign = storage.outbox(AesGcmSealing({1: b"x" * 32}))
    for number in range(20):
        await owe_text(foreign, number)
    await owe_text(outbox, 100, seconds=1)
    assert not await outbox.take(at(2))
    assert [reply.key for reply in await outbox.take(at(2))] == [key(100)]
    assert not await foreign.take(at(2))
    back = await foreign.take(at(602), limit=50)
    assert len([reply for reply in back if not reply.doubtful and reply.tries == 1]) == 20


async def test_replies_are_known_for_a_week_and_then_forgotten(
    storage: PostgresqlStorage, outbox: Outbox
) -> None:
    reply = await taken(outbox, 1)
    await outbox.settle(reply.id, Accepted(provider_id="p1"), now=at(2))
    await owe_text(outbox, 2)
    await storage.verifications.forget(at(0) + timedelta(days=7))
    assert await outbox.knows(key(1))
    assert await outbox.knows(key(2))
    assert await storage.verifications.forget(at(1) + timedelta(days=8)) == 2
    assert not await outbox.knows(key(1))
    assert not await outbox.knows(key(2))


async def test_a_taker_that_gives_up_loses_no_reply(outbox: Outbox) -> None:
    await owe_text(outbox)
    for turns in range(6):
        taking = asyncio.create_task(outbox.take(at(1)))
        for _ in range(turns):
            await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait((taking,))
    assert key(1) in {reply.key for reply in await outbox.take(at(62))}


async def test_an_id_no_reply_can_have_is_no_reply(outbox: Outbox) -> None:
    for number in (0, -1, 2**63):
        assert not await outbox.note_delivery(
            "twilio", provider_id="", reply_id=number, state=Delivery.SENT, now=at(2)
        )


async def test_two_processes_keep_one_correspondence(storage: PostgresqlStorage, plain: Prepared) -> None:
    other = await open_postgresql(plain.url)
    try:
        await storage.correspondence.change(ONE, ENGLISH, message_key=b"1" * 16, now=START)
        assert await other.correspondence.find(ONE, now=START) == Correspondent(locale="en")
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


async def test_the_silent_are_forgotten_and_an_opt_out_is_not(storage: PostgresqlStorage) -> None:
    correspondence, forget = storage.correspondence, storage.verifications.forget
    await correspondence.change(ONE, ENGLISH, message_key=b"1" * 16, now=START)
    await correspondence.change(TWO, Change(opted_out=True), message_key=b"2" * 16, now=START)
    await correspondence.claim_notice(ONE, NoticeKind.HELP, message_key=b"m" * 16, now=START, until=DAY)
    assert await forget(DAY - timedelta(seconds=1)) == 0
    assert await forget(DAY) == 1
    await forget(START + timedelta(days=730))
    assert await correspondence.find(ONE, now=START) == Correspondent(locale="en")
    await forget(START + timedelta(days=731))
    assert await correspondence.find(ONE, now=START) == Correspondent()
    assert await correspondence.find(TWO, now=START) == Correspondent(opted_out=True)


async def test_spending_adds_up_and_past_days_are_forgotten(storage: PostgresqlStorage) -> None:
    spending, caller = storage.spending, b"caller-number-01"
    for day in ("2026-03-01", "2026-03-02", "2026-03-05"):
        await spending.add(day, [("segment", b"", 9), ("segment", caller, 2), ("segment", caller, 1)])
    assert await spending.add("2026-03-02", [("segment", b"", 5)]) == {("segment", b""): 14}
    assert await spending.add("2026-03-02", []) == {}
    assert await storage.verifications.forget(START) == 2
    assert await spending.load("2026-03-01") == {}
    assert await spending.load("2026-03-02") == {("segment", b""): 14, ("segment", caller): 3}


async def test_a_closed_store_is_unavailable_in_every_method(
    storage: PostgresqlStorage, outbox: Outbox
) -> None:
    reply = await taken(outbox)
    await storage.close()
    for broken in (
        lambda: owe_text(outbox, 2),
        lambda: outbox.knows(key(1)),
        lambda: outbox.take(at(100)),
        lambda: outbox.settle(reply.id, Accepted(), now=at(2)),
        lambda: outbox.note_delivery("a", provider_id="p", reply_id=None, state=Delivery.SENT, now=at(2)),
        lambda: outbox.known_ids("a", ["p"]),
        lambda: storage.correspondence.find(ONE, now=START),
        lambda: storage.correspondence.change(ONE, ENGLISH, message_key=b"1" * 16, now=START),
        lambda: storage.correspondence.claim_notice(
            ONE, NoticeKind.HELP, message_key=b"m" * 16, now=START, until=DAY
        ),
        lambda: storage.spending.load("2026-03-05"),
        lambda: storage.spending.add("2026-03-05", [("segment", b"", 1)]),
        lambda: storage.erase(b"caller-number-01"),
        storage.verifications.check,
        lambda: storage.verifications.find_answer(b"m" * 16),
        storage.catalogues.load,
        storage.registry.brands,
    ):
        with pytest.raises(StoreUnavailable):
            await broken()
