"""The duplicate window: what it keeps, for how long, how much of it, and what it never keeps."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.cache.memory import MemoryCache
from app.core.model.verdict import Detail, Outcome, Verdict
from channels.window import WINDOW_S, DuplicateWindow, keeps
from tests.fakes.clock import FakeClock

KEY, ALIAS = b"k" * 16, b"a" * 16
SLIP = Verdict(outcome=Outcome.MISTYPED, reasons=(Detail.SLIP_LOCATED,), slip_positions=(7, 8))

unrecorded = st.builds(
    Verdict,
    outcome=st.sampled_from([Outcome.MISTYPED, Outcome.THROTTLED]),
    reasons=st.lists(st.sampled_from([*Detail, *Outcome]), max_size=3).map(tuple),
    slip_positions=st.lists(st.integers(1, 24), max_size=2).map(tuple),
    retry_after_s=st.integers(0, 86_400),
    wording_version=st.integers(1, 9),
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@given(verdict=unrecorded, waited_s=st.integers(0, 2 * WINDOW_S))
def test_an_answer_is_the_same_until_its_time_is_over(verdict: Verdict, waited_s: int) -> None:
    async def found() -> Verdict | None:
        clock = FakeClock()
        window = DuplicateWindow(MemoryCache(clock))
        await window.note([KEY], verdict)
        clock.advance(waited_s)
        return await window.find([KEY])

    lasts_s = WINDOW_S
    if verdict.outcome is Outcome.THROTTLED:
        lasts_s = min(WINDOW_S, max(1, verdict.retry_after_s))
    assert asyncio.run(found()) == (verdict if waited_s < lasts_s else None)


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.MISTYPED, Outcome.THROTTLED}))
async def test_what_the_record_holds_or_nobody_knows_is_not_kept(clock: FakeClock, outcome: Outcome) -> None:
    window = DuplicateWindow(MemoryCache(clock))
    verdict = Verdict(outcome=outcome, retry_after_s=5)
    await window.note([KEY], verdict)
    assert await window.find([KEY]) is None
    assert not keeps(verdict)


async def test_a_message_is_known_by_either_of_its_ids(clock: FakeClock) -> None:
    window = DuplicateWindow(MemoryCache(clock))
    await window.note([KEY, ALIAS], SLIP)
    assert await window.find([ALIAS]) == SLIP
    assert await window.find([b"x" * 16, KEY]) == SLIP
    assert await window.find([b"x" * 16]) is None
    assert await window.find([]) is None


async def test_the_cache_bounds_how_much_is_kept(clock: FakeClock) -> None:
    window = DuplicateWindow(MemoryCache(clock, entries=3))
    keys = [bytes([number]) * 16 for number in range(5)]
    for key in keys:
        await window.note([key], SLIP)
    assert [await window.find([key]) is not None for key in keys] == [False, False, True, True, True]


@pytest.mark.parametrize("kept", [b"", b"[]", b"null", b"\xff", b'{"outcome": "guessed"}'])
async def test_what_cannot_be_read_is_judged_anew(clock: FakeClock, kept: bytes) -> None:
    cache = MemoryCache(clock)
    await cache.put(f"answer:{KEY.hex()}", kept, ttl_s=60)
    assert await DuplicateWindow(cache).find([KEY]) is None
