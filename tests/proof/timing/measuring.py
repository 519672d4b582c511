"""Measures what an answer takes, the classes interleaved at random in one run, so that drift meets all alike."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from channels.base import InboundRequest
from tests.proof.timing.questions import Question
from tests.proof.timing.site import CLASSES, Service
from tests.proof.timing.welch import Samples

_WARM_UP: Final = 50  # of each class, not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """``together`` questions stand before one commit; ``count`` are asked of each class.

    ``clock`` is the wall's where an asker could see no other, the process's where it is the quieter one.
    """

    channel: str
    together: int
    count: int
    clock: Callable[[], int] = time.perf_counter_ns


async def measure(
    service: Service,
    load: Load,
    ask: Question,
    codes: Mapping[str, tuple[str, ...]],
    chance: random.Random,
    first: int,
) -> Samples:
    """Return nanoseconds by class; ``first`` is the serial number of the first question."""
    wanted = [name for name in CLASSES for _ in range(_WARM_UP)]
    chance.shuffle(wanted)
    counted = [name for name in CLASSES for _ in range(load.count)]
    chance.shuffle(counted)
    wanted += counted
    adapter, carry, clock = service.adapters[load.channel], service.pipeline.carry, load.clock
    took = [0] * len(wanted)

    async def one(place: int, request: InboundRequest) -> None:
        begun = clock()
        await carry(adapter, request)
        took[place] = clock() - begun

    for start in range(0, len(wanted), load.together):
        names = wanted[start : start + load.together]
        asked = [
            (place, ask(service, chance.choice(codes[name]), first + place))
            for place, name in enumerate(names, start)
        ]
        if load.together == 1:
            await one(*asked[0])
        else:
            await asyncio.gather(*(one(place, request) for place, request in asked))
    return _by_class(wanted, took)


def _by_class(wanted: list[str], took: list[int]) -> Samples:
    kept = list(zip(wanted, took, strict=True))[_WARM_UP * len(CLASSES) :]
    return {
        name: np.array([spent for one, spent in kept if one == name], dtype=np.float64) for name in CLASSES
    }
