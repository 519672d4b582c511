"""The benchmark's own arithmetic: order of runs, ratios, slopes, and when a missed floor counts."""

from functools import partial

import pytest

from tests.bench.engine_rows import slope
from tests.bench.measures import Figure, Goal, Result, interleave, ratio, spread
from tests.bench.prefill import local_labels, new_labels, uniform_labels

RATE = Goal(row="R", title="rate", floor=0.6, target=0.9)
TAIL = Goal(row="T", title="tail", floor=4.0, target=2.0, at_most=True)


def result(goal: Goal, value: float, *, conclusive: bool = True) -> Result:
    return Result(goal=goal, figure=Figure(value=value, low=value, high=value, conclusive=conclusive))


def test_runs_go_there_and_back_again() -> None:
    order: list[str] = []

    def run(name: str) -> int:
        order.append(name)
        return len(order)

    made = interleave(2, {name: partial(run, name) for name in "ABC"})
    assert "".join(order) == "ABCCBAABCCBA"
    assert made["A"] == [[1, 6], [7, 12]]


def test_a_ratio_is_that_of_medians_with_the_spread_of_the_rounds() -> None:
    figure = ratio([[5.0, 7.0], [6.0, 6.0], [4.0, 8.0]], [[10.0, 10.0], [12.0, 12.0], [10.0, 10.0]])
    assert (figure.value, figure.low, figure.high) == (0.6, 0.5, 0.6)
    assert figure.conclusive


@pytest.mark.parametrize(
    "baseline", [[[10.0, 10.0], [10.0, 16.0], [10.0, 10.0]], [[10.0, 10.0], [10.0, 10.0]]]
)
def test_a_drifting_or_too_short_baseline_proves_nothing(baseline: list[list[float]]) -> None:
    assert not ratio(baseline, baseline).conclusive


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (RATE, 0.95, "target"),
        (RATE, 0.7, "floor"),
        (RATE, 0.5, "MISSED"),
        (TAIL, 1.5, "target"),
        (TAIL, 3.0, "floor"),
        (TAIL, 4.1, "MISSED"),
    ],
)
def test_a_verdict_knows_which_side_is_better(goal: Goal, value: float, verdict: str) -> None:
    assert result(goal, value).verdict == verdict
    assert result(goal, value).missed == (verdict == "MISSED")


def test_a_missed_floor_counts_only_on_a_steady_machine() -> None:
    assert not result(RATE, 0.1, conclusive=False).missed
    disturbed = result(RATE, 0.1).disturbed(1.2)
    assert disturbed.verdict == "inconclusive"
    assert "1.20 cores" in disturbed.notes[-1]


def test_a_busy_machine_does_not_excuse_what_time_does_not_change() -> None:
    stored = Goal(row="S", title="stored", floor=0, target=None, at_most=True, timed=False)
    assert result(stored, 1.0).disturbed(1.2).missed


def test_a_slope_is_the_exponent_of_a_power_law() -> None:
    rows = (10**5, 10**6, 10**7)
    assert slope(rows, [row**-0.2 for row in rows]) == pytest.approx(-0.2)


def test_spread_of_rates_that_differ_too_much_is_not_conclusive() -> None:
    assert spread([1.0, 1.4, 1.2]) == Figure(value=1.2, low=1.0, high=1.4)
    assert not spread([1.0, 1.6]).conclusive


def test_labels_asked_about_lie_where_the_rows_say() -> None:
    recorded = 10_000
    local = local_labels(recorded, 20_000)
    newest = sum(place >= 9_900 for place in local) / len(local)
    assert 0.88 < newest < 0.93
    assert all(0 <= place < recorded for place in (*local, *uniform_labels(recorded, 5_000)))
    new = new_labels(recorded, 5_000)
    assert sorted(new) == list(range(recorded, recorded + 5_000))
    assert max(abs(place - recorded - at) for at, place in enumerate(new)) < 2_000
