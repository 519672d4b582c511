"""Runs in the order A B B A, ratios of medians with their spread, and whether a floor was missed.

Absolute rates of a machine that others share drift by tens of per cent between minutes; ratios within one run hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, TypeVar

T = TypeVar("T")
MOST_DRIFT: Final = 1.5
FEWEST_ROUNDS: Final = 3


class WrongAnswerError(Exception):
    """A run whose answers were refused, wrong or not recorded: its figures mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to be reached. ``at_most``: smaller is better. ``unit`` is printed behind figures, `x` for a ratio.

    ``timed`` is false for figures that a busy machine does not change.
    """

    row: str
    title: str
    floor: float | None
    target: float | None
    unit: str = "x"
    at_most: bool = False
    timed: bool = True

    def met(self, value: float, bound: float | None) -> bool:
        """Tell whether ``value`` reaches ``bound``; no bound is always reached."""
        if bound is None:
            return True
        return value <= bound if self.at_most else value >= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value with its spread over the rounds; not ``conclusive`` where the baseline itself drifted too far."""

    value: float
    low: float
    high: float
    conclusive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the report. ``notes`` are further facts of the same runs."""

    goal: Goal
    figure: Figure
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One word or two for the last column."""
        goal, value = self.goal, self.figure.value
        if goal.floor is None and goal.target is None:
            return "stated"
        if not self.figure.conclusive:
            return "inconclusive"
        if goal.target is not None and goal.met(value, goal.target):
            return "target"
        if goal.met(value, goal.floor):
            return "floor" if goal.target is not None else "met"
        return "MISSED"

    def disturbed(self, cores: float) -> Result:
        """Return the same result, not conclusive if timed, because other programs used so many cores meanwhile."""
        if not self.goal.timed:
            return self
        figure = replace(self.figure, conclusive=False)
        return replace(
            self, figure=figure, notes=(*self.notes, f"other programs used {cores:.2f} cores meanwhile")
        )

    @property
    def missed(self) -> bool:
        """True where the floor was missed and the runs were steady enough to say so."""
        return self.verdict == "MISSED"


def interleave(rounds: int, runs: Mapping[str, Callable[[], T]]) -> dict[str, list[list[T]]]:
    """Run everything there and back again in each round; return the outcomes by name, two a round."""
    names = list(runs)
    made: dict[str, list[list[T]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            made[name].append([])
        for name in (*names, *reversed(names)):
            made[name][-1].append(runs[name]())
    return made


def ratio(candidate: Sequence[Sequence[float]], baseline: Sequence[Sequence[float]]) -> Figure:
    """Return median over median of two sets of rounds; the spread is that of the ratios within each round."""
    within = [_mean(ours) / _mean(theirs) for ours, theirs in zip(candidate, baseline, strict=True)]
    flat = [value for values in baseline for value in values]
    steady = max(flat) <= MOST_DRIFT * min(flat) and len(baseline) >= FEWEST_ROUNDS
    value = median(_flat(candidate)) / median(flat)
    return Figure(value=value, low=min(*within, value), high=max(*within, value), conclusive=steady)


def spread(values: Sequence[float]) -> Figure:
    """Return the median with the least and the largest."""
    steady = min(values) > 0 and max(values) <= MOST_DRIFT * min(values)
    return Figure(value=median(values), low=min(values), high=max(values), conclusive=steady)


def of_rounds(rounds: Sequence[Sequence[T]], read: Callable[[T], float]) -> list[list[float]]:
    """Return one number of each run, kept by round."""
    return [[read(run) for run in runs] for runs in rounds]


def middle(rounds: Sequence[Sequence[T]], read: Callable[[T], float]) -> float:
    """Return the median of one number over all runs."""
    return median(_flat(of_rounds(rounds, read)))


def _flat(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [value for values in rounds for value in values]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
