"""What every throttle must do. Bind it by a subclass with the fixtures ``clock`` and ``throttle``.

The throttle under test limits ``web`` to 20 an hour with 5 wrong codes and ``address`` to 60 a minute.
"""

from __future__ import annotations

import asyncio

from app.core.ports.throttle import Throttle, ThrottleSubject
from tests.fakes.clock import FakeClock

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
        assert refused.retry_after_s == 180  # an hour over twenty
        clock.advance(refused.retry_after_s - 1)
        assert not (await throttle.admit([VISITOR])).allowed
        clock.advance(1)
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
        assert refused.retry_after_s == 720  # an hour over five
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
