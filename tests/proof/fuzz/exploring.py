"""Inputs that lead somewhere new: mutations kept where they reach steps of the product that no input reached before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any, Final

from tests.proof.fuzz.engine import Breach, Parser, Tally, check, feed, mutate

ROOT: Final = Path(__file__).resolve().parents[3]
_PRODUCT: Final = (f"{ROOT}/app/", f"{ROOT}/channels/")
_LONGEST: Final = 2048  # octets of an input worth keeping

Step = tuple[CodeType, int, int]


class Footprints:
    """The steps from line to line in the product's own code, while it is watched."""

    def __init__(self) -> None:
        self.steps: set[Step] = set()

    def watch(self, run: Callable[[], object]) -> None:
        """Run and note every step."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            run()
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(_PRODUCT):
            return None
        steps, last = self.steps, 0

        def step(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal last
            if event == "line":
                steps.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return step

        return step


def steps_of(parser: Parser, data: bytes) -> set[Step]:
    """Return the steps that one input takes. Raises ``Breach``."""
    footprints = Footprints()
    footprints.watch(lambda: check(parser, data))
    return footprints.steps


def explore(
    parser: Parser, tally: Tally, *, pool: Iterable[bytes], random: Random, goes_on: Callable[[], bool]
) -> list[bytes]:
    """Feed mutations while ``goes_on``; return those that led somewhere new, and stop at a breach."""
    seen: set[Step] = set()
    kept = [*parser.seeds, *pool]
    for data in kept:
        seen |= steps_of(parser, data)
    found: list[bytes] = []
    while goes_on():
        data = mutate(random, parser, kept)
        try:
            new = steps_of(parser, data) - seen
        except Breach:
            feed(parser, tally, data)
            return found
        tally.examples += 1
        if new:
            seen |= new
            kept.append(data)
            if len(data) <= _LONGEST:
                found.append(data)
    return found


def without_needless(parser: Parser, inputs: Iterable[bytes]) -> list[bytes]:
    """Return the inputs, shortest first, that each take a step which neither the seeds nor those before them take."""
    seen: set[Step] = set()
    for seed in parser.seeds:
        seen |= steps_of(parser, seed)
    needed: list[bytes] = []
    for data in sorted(dict.fromkeys(inputs), key=lambda one: (len(one), one)):
        steps = steps_of(parser, data)
        if not steps <= seen:
            seen |= steps
            needed.append(data)
    return needed
