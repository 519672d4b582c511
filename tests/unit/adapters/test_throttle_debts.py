from __future__ import annotations

from app.adapters.throttle_debts import NOTHING, Debts
from app.core.ports.throttle import ThrottleSubject
from tests.fakes.clock import FakeClock

ONE, TWO, THREE = (ThrottleSubject("web", name) for name in ("one", "two", "three"))


def test_what_is_taken_is_no_longer_owed() -> None:
    debts = Debts(FakeClock(), keep_s=10)
    assert not debts
    debts.add(ONE, queries=2)
    debts.add(ONE, wrong=1)
    debts.add(ThrottleSubject("web", "one", group="its network"), queries=1)
    assert debts
    assert debts.take(TWO) == NOTHING
    assert debts.take(ONE) == (3, 1)
    assert debts.take(ONE) == NOTHING
    assert not debts


def test_debts_are_forgotten_with_time_and_the_oldest_for_want_of_room() -> None:
    clock = FakeClock()
    debts = Debts(clock, keep_s=10, most=2)
    debts.add(ONE, queries=1)
    clock.advance(9)
    debts.add(TWO, queries=1)
    clock.advance(1)
    assert debts.take(ONE) == NOTHING
    debts.add(ONE, queries=1)
    debts.add(THREE, queries=1)
    assert [debts.take(subject) for subject in (ONE, TWO, THREE)] == [(1, 0), NOTHING, (1, 0)]
