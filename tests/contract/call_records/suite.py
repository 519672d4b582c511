"""What every keeper of call records must do. Bind it by a subclass with the fixtures ``records`` and ``look``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

import pytest

from app.core.model.call import CallEnd
from app.core.ports.call_records import CallRecords
from tests.fakes.clock import START
from tests.fakes.memory_call_records import KeptCall

ONE = b"call-of-a-phone1"
TWO = b"call-of-a-phone2"
Look = Callable[[bytes], Awaitable[KeptCall | None]]
Step = Callable[[CallRecords], Awaitable[None]]


def at(seconds: float) -> datetime:
    """A moment after the start."""
    return START + timedelta(seconds=seconds)


def began(when: float = 0) -> Step:
    return lambda records: records.open(key=ONE, account="twilio", at=at(when))


def ended(how: CallEnd, when: float, seconds: int | None = None) -> Step:
    return lambda records: records.close(key=ONE, account="twilio", how=how, at=at(when), seconds=seconds)


def closed(how: CallEnd, when: float, seconds: int | None, *, start: float = 0) -> KeptCall:
    return KeptCall(account="twilio", started_at=at(start), ended_at=at(when), how=how, seconds=seconds)


async def live(records: CallRecords, steps: Iterable[Step]) -> None:
    for step in steps:
        await step(records)


class CallRecordsContract:
    async def test_what_never_rang_is_not_there(self, look: Look) -> None:
        assert await look(ONE) is None

    async def test_a_call_is_open_until_its_end_is_told(self, records: CallRecords, look: Look) -> None:
        await live(records, [began()])
        assert await look(ONE) == KeptCall(account="twilio", started_at=START)
        await live(records, [ended(CallEnd.COMPLETED, 42.5)])
        assert await look(ONE) == closed(CallEnd.COMPLETED, 42.5, 42)
        assert await look(TWO) is None

    @pytest.mark.parametrize("how", CallEnd)
    async def test_every_end_is_kept_with_what_the_provider_counted(
        self, records: CallRecords, look: Look, how: CallEnd
    ) -> None:
        await live(records, [began(), ended(how, 42, 40)])
        assert await look(ONE) == closed(how, 42, 40)

    @pytest.mark.parametrize(
        "steps",
        [
            [began(), began(3), ended(CallEnd.HUNG_UP, 9)],
            [began(), ended(CallEnd.HUNG_UP, 9), ended(CallEnd.HUNG_UP, 9)],
            [began(), ended(CallEnd.HUNG_UP, 9), began(11)],
            [began(), ended(CallEnd.HUNG_UP, 9), ended(CallEnd.COMPLETED, 12, 12)],
            [began(), ended(CallEnd.TRANSFERRED, 5), ended(CallEnd.HUNG_UP, 9)],
            [began(), ended(CallEnd.HUNG_UP, 9), ended(CallEnd.TRANSFERRED, 12)],
            [began(), ended(CallEnd.TRANSFERRED, 5), began(6), ended(CallEnd.HUNG_UP, 9), began(11)],
            [
                began(),
                ended(CallEnd.TRANSFERRED, 5),
                ended(CallEnd.TRANSFERRED, 7),
                ended(CallEnd.HUNG_UP, 9),
            ],
        ],
    )
    async def test_told_again_nothing_changes_and_the_first_end_holds(
        self, records: CallRecords, look: Look, steps: list[Step]
    ) -> None:
        await live(records, steps)
        assert await look(ONE) == closed(CallEnd.HUNG_UP, 9, 9)

    async def test_who_was_put_through_twice_left_the_second_time(
        self, records: CallRecords, look: Look
    ) -> None:
        later = ended(CallEnd.TRANSFERRED, 30)
        await live(records, [began(), ended(CallEnd.TRANSFERRED, 5), later, later])
        assert await look(ONE) == closed(CallEnd.TRANSFERRED, 30, 30)

    @pytest.mark.parametrize(("seconds", "start"), [(12, 18), (None, 30)])
    async def test_an_end_alone_makes_a_closed_record(
        self, records: CallRecords, look: Look, seconds: int | None, start: float
    ) -> None:
        await live(records, [ended(CallEnd.FAILED, 30, seconds), began(31)])
        assert await look(ONE) == closed(CallEnd.FAILED, 30, seconds, start=start)

    async def test_a_clock_that_was_set_back_makes_no_negative_call(
        self, records: CallRecords, look: Look
    ) -> None:
        await live(records, [began(), ended(CallEnd.COMPLETED, -30)])
        assert await look(ONE) == closed(CallEnd.COMPLETED, -30, 0)

    async def test_many_tellings_at_once_are_one_record(self, records: CallRecords, look: Look) -> None:
        telling = itertools.islice(itertools.cycle([began(), ended(CallEnd.COMPLETED, 7, 7)]), 40)
        await asyncio.gather(*(step(records) for step in telling))
        assert await look(ONE) == closed(CallEnd.COMPLETED, 7, 7)
