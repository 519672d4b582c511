from __future__ import annotations

import pytest

from app.adapters.throttle import DEFAULT_LIMITS, MemoryThrottle
from tests.contract.throttle.suite import ThrottleContract
from tests.fakes.clock import FakeClock


class TestMemoryThrottle(ThrottleContract):
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def throttle(self, clock: FakeClock) -> MemoryThrottle:
        return MemoryThrottle(clock, DEFAULT_LIMITS)
