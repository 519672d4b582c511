from __future__ import annotations

import pytest

from app.adapters.throttle import DEFAULT_LIMITS, MemoryThrottle
from tests.contract.throttle.suite import LIMITS, VISITOR, ThrottleContract, admitted
from tests.fakes.clock import FakeClock


class TestMemoryThrottle(ThrottleContract):
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def throttle(self, clock: FakeClock) -> MemoryThrottle:
        return MemoryThrottle(clock, LIMITS)


async def test_the_time_to_come_back_is_exact_to_the_second() -> None:
    clock = FakeClock()
    throttle = MemoryThrottle(clock, DEFAULT_LIMITS)
    assert await admitted(throttle, VISITOR, times=25) == 20
    refused = await throttle.admit([VISITOR])
    assert refused.retry_after_s == 180  # an hour over twenty
    clock.advance(179)
    assert not (await throttle.admit([VISITOR])).allowed
    clock.advance(1)
    assert (await throttle.admit([VISITOR])).allowed


async def test_what_was_admitted_elsewhere_counts_and_never_for_more_than_a_window() -> None:
    clock = FakeClock()
    throttle = MemoryThrottle(clock, LIMITS)
    for _ in range(15):
        throttle.count([VISITOR])
    assert await admitted(throttle, VISITOR, times=25) == 5
    for _ in range(100):
        throttle.count([VISITOR])
    clock.advance(3600)
    assert await admitted(throttle, VISITOR, times=25) == 20
