"""Measures what an answer takes, the classes interleaved at random in one run, so that drift meets all alike."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from channels.base import InboundRequest
from tests.proof.timing.questions import Question
from tests.proof.timing.site import CLASSES, Service
from tests.proof.timing.welch import Samples

_WARM_UP: Final = 25  # of each class, not counted
_LIMITED: Final = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """``together`` questions are asked at once; ``count`` are asked of each class, about ``codes``."""

    channel: str
    together: int
    count: int
    codes: Mapping[str, tuple[str, ...]]


async def measure(
    service: Service,
    load: Load,
    ask: Question,
    chance: random.Random,
    first: int,
) -> tuple[Samples, ...]:
    """Return nanoseconds by class of the wall's clock and, where questions come one by one, of the processor's.

    ``first`` is the serial number of the first question; those that follow count up from it.
    """
    wanted = [name for name in CLASSES for _ in range(_WARM_UP)]
    chance.shuffle(wanted)
    counted = [name for name in CLASSES for _ in range(load.count)]
    chance.shuffle(counted)
    wanted += counted
    adapter, carry = service.adapters[load.channel], service.pipeline.carry
    wall, processor = [0] * len(wanted), [0] * len(wanted)

    async def one(place: int, request: InboundRequest) -> None:
        spent, begun = time.process_time_ns(), time.perf_counter_ns()
        response = await carry(adapter, request)
        wall[place] = time.perf_counter_ns() - begun
        processor[place] = time.process_time_ns() - spent
        assert response.status != _LIMITED, "whom the limits refuse is not answered about a code"

    for start in range(0, len(wanted), load.together):
        names = wanted[start : start + load.together]
        asked = [
            (place, ask(service, chance.choice(load.codes[name]), first + place))
            for place, name in enumerate(names, start)
        ]
        if load.together == 1:
            await one(*asked[0])
        else:
            await asyncio.gather(*(one(place, request) for place, request in asked))
    clocks = (wall, processor) if load.together == 1 else (wall,)
    return tuple(_by_class(wanted, took) for took in clocks)


def _by_class(wanted: list[str], took: list[int]) -> Samples:
    kept = list(zip(wanted, took, strict=True))[_WARM_UP * len(CLASSES) :]
    return {
        name: np.array([spent for one, spent in kept if one == name], dtype=np.float64) for name in CLASSES
    }
