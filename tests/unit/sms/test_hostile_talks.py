"""Machines that answer us, and people who farm replies: every talk ends in silence, and what it may cost has an end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest

from app.adapters.places import PhoneNumberPlaces
from app.adapters.spending import DailySpending
from app.adapters.throttle import MemoryThrottle
from channels.base import InboundRequest
from channels.sms.adapter import SmsAdapter
from channels.sms.kannel.dialect import ASKED, KannelDialect
from channels.sms.settings import KannelOptions
from tests.fakes.fake_calls import FakeCalls
from tests.fakes.sample_service import SampleService, start_sample_service

SECRET = "secret-of-long-talks"
OURS, THEIRS = "+8613900139000", "+8613700137000"
PER_NUMBER, PER_DAY = 30, 100


class Talker:
    """A service that is texted over Kannel, with the real limits and caps, on the test's clock."""

    def __init__(self, service: SampleService, number: str) -> None:
        self.number = number
        clock = service.clock
        spending = DailySpending(
            clock, "Asia/Shanghai", caps={"sms": PER_DAY}, per_caller_caps={"sms": PER_NUMBER}
        )
        self.service = replace(service, spending=spending, throttle=MemoryThrottle(clock))  # type: ignore[arg-type]
        dialect = KannelDialect(
            KannelOptions(secrets=(SECRET,)), calls=FakeCalls(), public_url="https://verify.example"
        )
        self.adapter = SmsAdapter(dialect, replace(service.context, places=PhoneNumberPlaces()))
        self.pipeline = self.service.pipeline
        self._count = 0

    async def hear(self, text: str, *, sender: str) -> str:
        self._count += 1
        request = InboundRequest(
            method="GET",
            route=ASKED.path,
            path=f"/channels/sms/kannel/{quote(SECRET)}",
            parts={"secret": SECRET},
            query={"from": sender, "to": self.number, "text": text, "id": str(self._count)},
            remote="127.0.0.1",
            received_at=self.service.clock.now(),
        )
        response = await self.pipeline.carry(self.adapter, request)
        assert response.status == 200
        return response.body.decode()


@pytest.fixture
async def talker() -> AsyncIterator[Talker]:
    service = await start_sample_service()
    yield Talker(service, OURS)
    await service.engine.close()


@pytest.fixture
async def other() -> AsyncIterator[Talker]:
    service = await start_sample_service()
    yield Talker(service, THEIRS)
    await service.engine.close()


def openings(service: SampleService) -> Iterator[str]:
    for before in ("真的吗 ", "is it genuine "):
        for batch in ("active", "not_active", "voided", "recalled", "expired"):
            yield before + service.code(batch)
        yield before + service.unknown_code()
        yield before + service.code()[:-1]
        yield before + "12345678901234567890"
    yield from ("help", "帮助", "EN", "中文", "T", "退订", "START", "开通", "", "客服4008001234")


async def test_two_services_that_text_each_other_fall_silent(talker: Talker, other: Talker) -> None:
    for opening in openings(talker.service):
        said, rounds = opening, 0
        while said and rounds < 20:
            speaker, hearer = (other, talker) if rounds % 2 == 0 else (talker, other)
            said = await hearer.hear(said, sender=speaker.number)
            rounds += 1
        assert rounds <= 8, f"{opening!r} began {rounds} rounds"


@pytest.mark.parametrize(
    "answer", ["我正在开会，请致电13900139000", "Out of office, call 13900139000", "{said}"]
)
async def test_a_machine_that_answers_every_reply_costs_a_day_at_most_its_cap(
    talker: Talker, answer: str
) -> None:
    said, heard = talker.service.code(), 0
    for _ in range(24 * 60 // 2):
        told = await talker.hear(said, sender=THEIRS)
        heard += bool(told)
        said = answer.replace("{said}", told or said)
        talker.service.clock.advance(120)
    assert heard <= 2 * PER_NUMBER, "the day may turn once in between"


@pytest.mark.parametrize(
    "words", [["EN", "中文"], ["T", "KT"], ["stop", "start", "help"], ["help", "帮助", "?"]]
)
async def test_commands_in_turn_farm_no_replies(talker: Talker, words: list[str]) -> None:
    heard = 0
    for turn in range(200):
        heard += bool(await talker.hear(words[turn % len(words)], sender=THEIRS))
    assert heard <= 20


async def test_many_numbers_together_meet_the_days_cap(talker: Talker) -> None:
    heard = 0
    for place in range(3 * PER_DAY):
        heard += bool(await talker.hear("help", sender=f"+861380013{place:04}"))
    assert heard == PER_DAY


async def test_one_number_in_many_spellings_is_helped_once(talker: Talker) -> None:
    spellings = [
        "+8613700137000",
        "008613700137000",
        "8613700137000",
        "13700137000",
        "１３７００１３７０００",
    ]
    assert sum([bool(await talker.hear("help", sender=spelling)) for spelling in spellings]) == 1


async def test_our_own_number_is_never_answered(talker: Talker) -> None:
    for spelling in ("+8613900139000", "13900139000", "0086 139 0013 9000"):
        assert await talker.hear(talker.service.code(), sender=spelling) == ""
    assert talker.service.store.facts == []


async def test_wrong_codes_run_into_silence_and_a_right_one_is_answered_an_hour_later(talker: Talker) -> None:
    service = talker.service
    wrong = [service.unknown_code(), *(service.code("active", place)[:-4] + "0000" for place in range(40))]
    said = [await talker.hear(text, sender=THEIRS) for text in wrong]
    assert sum(map(bool, said[10:])) <= 2
    assert await talker.hear(service.code("active", 900), sender=THEIRS) == ""
    service.clock.advance(timedelta(hours=1).total_seconds() + 1)
    assert await talker.hear(service.code("active", 900), sender=THEIRS)
