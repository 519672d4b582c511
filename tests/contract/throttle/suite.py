"""What every throttle must do. Bind it by a subclass with the fixtures ``clock`` and ``throttle``.

The throttle under test has :data:`LIMITS`. Its time may be a server's, which goes on while a test runs: no
allowance grows by one within some seconds, and times to come back may be a few seconds shorter.
"""

from __future__ import annotations

import asyncio

from app.adapters.throttle import Limit
from app.core.ports.throttle import Throttle, ThrottleSubject
from tests.fakes.clock import FakeClock

LIMITS = {
    "web": Limit(queries=20, window_s=3600, wrong=5, wrong_window_s=3600),
    "address": Limit(queries=60, window_s=3600, wrong=30, wrong_window_s=3600),
}
PASSED_S = 10
VISITOR = ThrottleSubject("web", b"visitor")
OTHER = ThrottleSubject("web", b"other")
ADDRESS = ThrottleSubject("address", "192.0.2.1")


async def admitted(throttle: Throttle, *subjects: ThrottleSubject, times: int) -> int:
    return sum([(await throttle.admit(subjects)).allowed for _ in range(times)])


class ThrottleContract:
    async def test_the_allowance_is_exact(self, throttle: Throttle) -> None:
        assert await admitted(throttle, VISITOR, times=25) == 20

    async def test_the_time_to_come_back_is_exact(self, throttle: Throttle, clock: FakeClock) -> None:
        await admitted(throttle, VISITOR, times=20)
        refused = await throttle.admit([VISITOR])
        assert not refused.allowed
        assert 180 - PASSED_S <= refused.retry_after_s <= 180  # an hour over twenty
        clock.advance(refused.retry_after_s - PASSED_S)
        assert not (await throttle.admit([VISITOR])).allowed
        clock.advance(PASSED_S)
        assert (await throttle.admit([VISITOR])).allowed
        assert not (await throttle.admit([VISITOR])).allowed

    async def test_a_rest_of_a_whole_window_restores_everything(
        self, throttle: Throttle, clock: FakeClock
    ) -> None:
        await admitted(throttle, VISITOR, times=20)
        clock.advance(3600)
        assert await admitted(throttle, VISITOR, times=25) == 20

    async def test_others_are_not_limited_with_one(self, throttle: Throttle) -> None:
        await admitted(throttle, VISITOR, times=25)
        assert (await throttle.admit([OTHER])).allowed

    async def test_a_refusal_counts_against_nobody(self, throttle: Throttle) -> None:
        await admitted(throttle, VISITOR, times=20)
        assert await admitted(throttle, VISITOR, ADDRESS, times=100) == 0
        assert await admitted(throttle, ADDRESS, times=100) == 60

    async def test_a_refusal_counts_against_nobody_in_any_order(self, throttle: Throttle) -> None:
        await admitted(throttle, VISITOR, times=20)
        assert await admitted(throttle, ADDRESS, VISITOR, OTHER, times=30) == 0
        assert await admitted(throttle, OTHER, times=25) == 20
        assert await admitted(throttle, ADDRESS, times=100) == 60

    async def test_a_group_changes_nothing(self, throttle: Throttle) -> None:
        network = "198.51.100.7"
        visitor = ThrottleSubject("web", b"grouped", group=network)
        address = ThrottleSubject("address", network, group=network)
        assert await admitted(throttle, visitor, address, times=25) == 20
        await throttle.note_wrong([visitor, address])
        assert await admitted(throttle, address, times=100) == 40

    async def test_many_at_once_share_one_allowance(self, throttle: Throttle) -> None:
        answers = await asyncio.gather(*(throttle.admit([VISITOR, ADDRESS]) for _ in range(100)))
        assert sum(answer.allowed for answer in answers) == 20
        assert await admitted(throttle, ADDRESS, times=60) == 40

    async def test_every_subject_counts(self, throttle: Throttle) -> None:
        for number in range(3):
            assert await admitted(throttle, ThrottleSubject("web", f"{number}"), ADDRESS, times=20) == 20
        assert not (await throttle.admit([OTHER, ADDRESS])).allowed

    async def test_wrong_codes_limit_the_next_query_only(self, throttle: Throttle, clock: FakeClock) -> None:
        for _ in range(5):
            assert (await throttle.admit([VISITOR])).allowed
            await throttle.note_wrong([VISITOR])
        refused = await throttle.admit([VISITOR])
        assert not refused.allowed
        assert 720 - PASSED_S <= refused.retry_after_s <= 720  # an hour over five
        clock.advance(720)
        assert (await throttle.admit([VISITOR])).allowed

    async def test_wrong_codes_beyond_the_limit_cost_no_more_than_a_window(
        self, throttle: Throttle, clock: FakeClock
    ) -> None:
        await asyncio.gather(*(throttle.note_wrong([VISITOR]) for _ in range(50)))
        assert not (await throttle.admit([VISITOR])).allowed
        clock.advance(3600)
        assert (await throttle.admit([VISITOR])).allowed

    async def test_a_kind_that_nobody_configured_is_limited_all_the_same(self, throttle: Throttle) -> None:
        assert await admitted(throttle, ThrottleSubject("new-channel", "x"), times=1000) < 100

    async def test_nobody_is_nobody(self, throttle: Throttle) -> None:
        assert (await throttle.admit([])).allowed
        await throttle.note_wrong([])
