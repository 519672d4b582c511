from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.throttle import DEFAULT_LIMITS, Limit, MemoryThrottle, UnlimitedThrottle
from app.core.ports.throttle import ThrottleSubject
from app.logs import configure_logs
from tests.fakes.clock import FakeClock

SUBJECT = ThrottleSubject("web", b"visitor")


async def test_the_last_fifth_of_the_allowance_is_slowed() -> None:
    throttle = MemoryThrottle(FakeClock(), DEFAULT_LIMITS)
    delays = [(await throttle.admit([SUBJECT])).slow_ms for _ in range(20)]
    assert delays == [0] * 16 + [125, 250, 375, 500]


async def test_phones_are_never_slowed() -> None:
    throttle = MemoryThrottle(FakeClock(), DEFAULT_LIMITS)
    assert {(await throttle.admit([ThrottleSubject("phone", b"p")])).slow_ms for _ in range(20)} == {0}


async def test_a_flood_of_new_keys_never_opens_the_limit_of_an_active_one() -> None:
    clock = FakeClock()
    throttle = MemoryThrottle(clock, {"web": DEFAULT_LIMITS["web"]}, keys_per_limit=100)
    for _ in range(20):
        await throttle.admit([SUBJECT])
    for number in range(20_000):
        clock.advance(0.05)
        await throttle.admit([ThrottleSubject("web", f"stranger {number}")])
    admitted = [(await throttle.admit([SUBJECT])).allowed for _ in range(20)]
    assert sum(admitted) == 5  # what 1,000 seconds restore, one in 180


async def test_a_flood_shares_what_is_left() -> None:
    throttle = MemoryThrottle(FakeClock(), {"web": DEFAULT_LIMITS["web"]}, keys_per_limit=10)
    for number in range(100_000):
        await throttle.admit([ThrottleSubject("web", f"stranger {number}")])
    refused = [
        not (await throttle.admit([ThrottleSubject("web", f"late {number}")])).allowed
        for number in range(200)
    ]
    assert all(refused)


@given(st.lists(st.floats(min_value=0, max_value=900), min_size=1, max_size=200))
async def test_no_pattern_gets_more_than_the_burst_and_the_rate(gaps: list[float]) -> None:
    clock = FakeClock()
    throttle = MemoryThrottle(clock, {"web": Limit(queries=6, window_s=600, wrong=5, wrong_window_s=600)})
    admitted_at = []
    for gap in gaps:
        clock.advance(gap)
        if (await throttle.admit([SUBJECT])).allowed:
            admitted_at.append(clock.monotonic_s())
    for index, start in enumerate(admitted_at):
        for count, end in enumerate(admitted_at[index:], start=1):
            assert count <= 6 + (end - start) / 100 + 1e-6


async def test_no_limits_say_so_loudly() -> None:
    stream = io.BytesIO()
    logs = configure_logs(log_format="json", stream=stream)
    throttle = UnlimitedThrottle(logs.logger("throttle"))
    assert b'"level":"warning","event":"limits_off"' in stream.getvalue()
    for _ in range(1000):
        await throttle.note_wrong([SUBJECT])
        assert (await throttle.admit([SUBJECT])).allowed


@pytest.mark.parametrize(
    "change", [{"queries": 0}, {"wrong": 0}, {"window_s": 0.0}, {"wrong_window_s": -1.0}]
)
def test_a_limit_that_admits_nothing_is_refused(change: dict[str, float]) -> None:
    fields = {"queries": 1, "window_s": 1.0, "wrong": 1, "wrong_window_s": 1.0} | change
    with pytest.raises(ValueError, match="at least one"):
        Limit(**fields)  # type: ignore[arg-type]
