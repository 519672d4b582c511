"""What every outbox must do. Bind it by a subclass with the fixture ``outbox``; what lasts is in ``durable_suite``."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest

from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code, Entry
from app.core.model.label import BrandId
from app.core.model.reply import (
    Accepted,
    Delivery,
    GivenUp,
    OwedReply,
    PutOff,
    ReplyAddress,
    ReplyId,
    Settlement,
    Worded,
)
from app.core.model.verification import VerificationRequest
from app.core.ports.outbox import Outbox
from tests.fakes.clock import START

NUMBER, OURS, TEXT = "+8613912345678", "106900001234", "【验真】海岸牧场首次查询"
ADDRESS = ReplyAddress(sender="twilio", recipient=NUMBER, ours=OURS)
QUESTION = VerificationRequest(
    code=Code(digits="20012345678901234567"),
    other_readings=(Code(digits="1601234567890123"), Code(digits="", entry=Entry.SCANNED)),
    caller=Caller(kind=CallerKind.PHONE, token=b"caller-number-01", key_id=3),
    channel="sms",
    account="twilio",
    message_id="SM0123456789",
    alias_id="idempotency-1",
    scope=frozenset({BrandId(7), BrandId(2)}),
    locale="en",
    received_at=START + timedelta(microseconds=123_456),
    place="内蒙古呼和浩特",
)
LEASE_S = 60.0


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def owe_text(outbox: Outbox, number: int = 1, *, seconds: float = 0.0) -> bool:
    return await outbox.owe(key(number), ADDRESS, now=at(seconds), text=TEXT)


async def take_one(outbox: Outbox, seconds: float) -> OwedReply:
    (reply,) = await outbox.take(at(seconds), lease_s=LEASE_S)
    return reply


async def taken(outbox: Outbox, number: int = 1) -> OwedReply:
    """Owe a text at second 0 and take it at second 1."""
    await owe_text(outbox, number)
    return await take_one(outbox, 1)


class OutboxContract:
    """Owing, taking, settling, and what providers report."""

    # -- owing -----------------------------------------------------------------------------------------------

    async def test_either_id_of_a_message_is_the_message(self, outbox: Outbox) -> None:
        assert await outbox.owe(key(1), ADDRESS, now=at(0), text=TEXT, alias=key(2))
        for first, second in (
            (key(1), None),
            (key(1), key(3)),
            (key(2), None),
            (key(4), key(2)),
            (key(5), key(1)),
        ):
            assert await outbox.knows(first, second)
            assert not await outbox.owe(first, ADDRESS, now=at(1), text="another", alias=second)
        assert not await outbox.knows(key(4), key(5))
        assert await outbox.owe(key(4), ADDRESS, now=at(1), text=TEXT, alias=key(5))
        assert await outbox.owe(key(6), ADDRESS, now=at(1), text=TEXT), "no second id is no id in common"
        assert await outbox.owe(key(7), ADDRESS, now=at(1), text=TEXT)

    async def test_one_message_owes_one_reply(self, outbox: Outbox) -> None:
        assert not await outbox.knows(key(1))
        assert await owe_text(outbox)
        assert await outbox.knows(key(1))
        assert not await outbox.owe(key(1), ADDRESS, now=at(1), text="another")
        assert not await outbox.owe(key(1), ADDRESS, now=at(1), question=QUESTION)
        assert (await take_one(outbox, 2)).text == TEXT
        assert not await outbox.take(at(2))

    @pytest.mark.parametrize("settlement", [Accepted(provider_id="p"), GivenUp(why="rejected")])
    async def test_a_message_whose_reply_is_settled_owes_none_again(
        self, outbox: Outbox, settlement: Settlement
    ) -> None:
        reply = await taken(outbox)
        await outbox.settle(reply.id, settlement, now=at(2))
        assert await outbox.knows(key(1))
        assert not await owe_text(outbox, seconds=7 * 86_400)
        assert not await outbox.take(at(7 * 86_400))

    async def test_a_message_many_times_at_once_owes_one_reply(self, outbox: Outbox) -> None:
        assert sorted(await asyncio.gather(*(owe_text(outbox) for _ in range(32)))) == [False] * 31 + [True]
        assert len(await outbox.take(at(1), limit=100)) == 1

    async def test_a_reply_without_text_and_question_is_refused(self, outbox: Outbox) -> None:
        with pytest.raises(ValueError, match="text or a question"):
            await outbox.owe(key(1), ADDRESS, now=at(0))
        assert not await outbox.knows(key(1))

    # -- taking ----------------------------------------------------------------------------------------------

    async def test_what_is_taken_is_what_was_owed(self, outbox: Outbox) -> None:
        await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION, more_codes=True)
        await outbox.owe(key(2), ADDRESS, now=at(1), text=TEXT)
        asked, told = await outbox.take(at(5))
        assert (asked.key, asked.address, asked.text, asked.more_codes) == (key(1), ADDRESS, "", True)
        assert asked.question == QUESTION
        assert (asked.tries, asked.doubts, asked.doubtful, asked.tried_at) == (0, 0, False, None)
        assert (told.key, told.address, told.text, told.question) == (key(2), ADDRESS, TEXT, None)
        assert (told.tries, told.doubts, told.doubtful, told.tried_at) == (1, 0, False, None)
        assert (asked.owed_at, told.owed_at) == (at(0), at(1))
        assert asked.id != told.id

    async def test_a_question_may_have_next_to_nothing(self, outbox: Outbox) -> None:
        bare = VerificationRequest(
            code=Code(digits=""), caller=Caller(kind=CallerKind.PHONE), channel="sms", received_at=at(0)
        )
        await outbox.owe(key(1), ADDRESS, now=at(0), question=bare)
        assert (await take_one(outbox, 0)).question == bare

    async def test_the_longest_owed_comes_first_and_no_more_than_asked_for(self, outbox: Outbox) -> None:
        for number, seconds in ((1, 30), (2, 10), (3, 20), (4, 40)):
            await owe_text(outbox, number, seconds=seconds)
        assert [reply.key for reply in await outbox.take(at(35), limit=2)] == [key(2), key(3)]
        assert [reply.key for reply in await outbox.take(at(35), limit=2)] == [key(1)]
        assert not await outbox.take(at(35))
        assert [reply.key for reply in await outbox.take(at(40))] == [key(4)]

    async def test_many_takers_at_once_never_get_the_same(self, outbox: Outbox) -> None:
        for number in range(100):
            await owe_text(outbox, number)
        shares = await asyncio.gather(*(outbox.take(at(1), limit=5) for _ in range(32)))
        counts = Counter(reply.key for share in shares for reply in share)
        assert counts == Counter(key(number) for number in range(100))

    async def test_within_its_lease_nobody_else_gets_it_and_afterwards_it_is_doubtful(
        self, outbox: Outbox
    ) -> None:
        await taken(outbox)
        assert not await outbox.take(at(60.9))
        again = await take_one(outbox, 61)
        assert (again.tries, again.doubts, again.doubtful, again.tried_at) == (2, 1, True, at(1))
        third = await take_one(outbox, 121)
        assert (third.tries, third.doubts, third.doubtful, third.tried_at) == (3, 2, True, at(1))

    async def test_a_question_whose_taker_vanished_is_not_doubtful(self, outbox: Outbox) -> None:
        await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION)
        await take_one(outbox, 1)
        assert not await outbox.take(at(60.9))
        again = await take_one(outbox, 61)
        assert (again.tries, again.doubts, again.doubtful, again.question) == (0, 0, False, QUESTION)

    # -- settling --------------------------------------------------------------------------------------------

    async def test_a_worded_question_is_due_at_once_as_a_text(self, outbox: Outbox) -> None:
        await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION, more_codes=True)
        asked = await take_one(outbox, 1)
        await outbox.settle(asked.id, Worded(text=TEXT), now=at(2))
        told = await take_one(outbox, 2)
        assert (told.id, told.text, told.question, told.address) == (asked.id, TEXT, None, ADDRESS)
        assert (told.tries, told.doubtful, told.more_codes, told.owed_at) == (1, False, True, at(0))

    async def test_the_first_wording_stands(self, outbox: Outbox) -> None:
        await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION)
        asked = await take_one(outbox, 1)
        await outbox.settle(asked.id, Worded(text=TEXT), now=at(2))
        await outbox.settle(asked.id, Worded(text="another"), now=at(2))
        assert (await take_one(outbox, 3)).text == TEXT
        await outbox.settle(asked.id, Worded(text="another"), now=at(4))
        assert not await outbox.take(at(60))  # it is being sent, and stays so
        assert (await take_one(outbox, 63)).text == TEXT

    async def test_put_off_it_comes_back_when_it_was_said(self, outbox: Outbox) -> None:
        reply = await taken(outbox)
        await outbox.settle(reply.id, PutOff(until=at(10)), now=at(2))
        assert not await outbox.take(at(9))
        again = await take_one(outbox, 10)
        assert (again.tries, again.doubts, again.doubtful, again.tried_at) == (2, 0, False, None)

    async def test_put_off_in_doubt_it_says_since_when(self, outbox: Outbox) -> None:
        reply = await taken(outbox)
        await outbox.settle(reply.id, PutOff(until=at(10), doubtful=True), now=at(2))
        again = await take_one(outbox, 10)
        assert (again.tries, again.doubts, again.doubtful, again.tried_at) == (2, 1, True, at(1))
        await outbox.settle(again.id, PutOff(until=at(20), doubtful=True), now=at(11))
        third = await take_one(outbox, 20)
        assert (third.tries, third.doubts, third.doubtful, third.tried_at) == (3, 2, True, at(1))
        await outbox.settle(third.id, PutOff(until=at(30)), now=at(21))  # the provider has none of them
        fourth = await take_one(outbox, 30)
        assert (fourth.tries, fourth.doubts, fourth.doubtful, fourth.tried_at) == (4, 2, False, None)
        await outbox.settle(fourth.id, PutOff(until=at(40), doubtful=True), now=at(31))
        assert (await take_one(outbox, 40)).tried_at == at(30)

    async def test_a_question_can_be_put_off(self, outbox: Outbox) -> None:
        await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION)
        asked = await take_one(outbox, 1)
        await outbox.settle(asked.id, PutOff(until=at(10)), now=at(2))
        assert not await outbox.take(at(9))
        assert (await take_one(outbox, 10)).question == QUESTION

    async def test_what_is_settled_for_good_stays_so(self, outbox: Outbox) -> None:
        for number, final in enumerate((Accepted(provider_id="p"), GivenUp(why="rejected"))):
            reply = await taken(outbox, number)
            await outbox.settle(reply.id, final, now=at(2))
            for later in (Worded(text="x"), PutOff(until=at(3), doubtful=True), GivenUp(why="late")):
                await outbox.settle(reply.id, later, now=at(3))
            assert not await outbox.take(at(10_000))
        await outbox.settle(ReplyId(12345), Accepted(), now=at(4))  # one that is not there is no fault

    async def test_a_provider_that_gives_no_id_is_accepted_all_the_same(self, outbox: Outbox) -> None:
        reply = await taken(outbox)
        await outbox.settle(reply.id, Accepted(), now=at(2))
        assert not await outbox.take(at(10_000))
        assert not await outbox.note_delivery(
            "twilio", provider_id="", reply_id=None, state=Delivery.SENT, now=at(3)
        )

    # -- reports ---------------------------------------------------------------------------------------------

    async def test_a_report_finds_its_reply_by_either_id(self, outbox: Outbox) -> None:
        reply = await taken(outbox)
        await outbox.settle(reply.id, Accepted(provider_id="p1"), now=at(2))
        for provider_id, reply_id, meant in (
            ("p1", None, True),
            ("", reply.id, True),
            ("p9", reply.id, True),
            ("p1", ReplyId(12345), True),
            ("p9", None, False),
            ("", None, False),
            ("", ReplyId(12345), False),
        ):
            noted = await outbox.note_delivery(
                "twilio", provider_id=provider_id, reply_id=reply_id, state=Delivery.SENT, now=at(3)
            )
            assert noted is meant
        for reply_id in (None, reply.id):
            assert not await outbox.note_delivery(
                "kannel", provider_id="p1", reply_id=reply_id, state=Delivery.SENT, now=at(3)
            )

    @pytest.mark.parametrize("state", list(Delivery))
    @pytest.mark.parametrize("doubt", ["being sent", "put off in doubt", "lease over", "put off"])
    async def test_a_report_settles_a_reply_nobody_knew_about(
        self, outbox: Outbox, state: Delivery, doubt: str
    ) -> None:
        reply = await taken(outbox)
        if doubt.startswith("put off"):
            put_off = PutOff(until=at(10), doubtful=doubt == "put off in doubt")
            await outbox.settle(reply.id, put_off, now=at(2))
        elif doubt == "lease over":
            await take_one(outbox, 61)
        assert await outbox.note_delivery(
            "twilio", provider_id="p1", reply_id=reply.id, state=state, now=at(62)
        )
        assert not await outbox.take(at(10_000))
        assert await outbox.known_ids("twilio", ["p1"]) == {"p1"}
        await outbox.settle(reply.id, PutOff(until=at(63), doubtful=True), now=at(63))
        assert not await outbox.take(at(10_000))

    async def test_a_report_on_a_reply_never_tried_means_none(self, outbox: Outbox) -> None:
        await outbox.owe(key(1), ADDRESS, now=at(0), question=QUESTION)
        asked = await take_one(outbox, 1)
        assert not await outbox.note_delivery(
            "twilio", provider_id="p1", reply_id=asked.id, state=Delivery.SENT, now=at(2)
        )
        assert (await take_one(outbox, 61)).question == QUESTION

    async def test_a_report_before_the_answer_of_the_provider_costs_nothing(self, outbox: Outbox) -> None:
        reply = await taken(outbox)
        assert await outbox.note_delivery(
            "twilio", provider_id="", reply_id=reply.id, state=Delivery.DELIVERED, now=at(2)
        )
        await outbox.settle(reply.id, Accepted(provider_id="p1"), now=at(3))
        assert await outbox.known_ids("twilio", ["p1"]) == {"p1"}
        assert not await outbox.take(at(10_000))

    async def test_ids_are_known_by_their_sender(self, outbox: Outbox) -> None:
        for number in range(3):
            reply = await taken(outbox, number)
            await outbox.settle(reply.id, Accepted(provider_id=f"p{number}"), now=at(2))
        asked = ["p0", "p2", "p9", "p2", "", "'; --"]
        assert await outbox.known_ids("twilio", asked) == {"p0", "p2"}
        assert await outbox.known_ids("kannel", asked) == frozenset()
        assert await outbox.known_ids("twilio", []) == frozenset()
