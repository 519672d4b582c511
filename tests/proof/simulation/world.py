"""What one schedule consists of: its chance, its weather, its trace, and what went wrong in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from app.core.errors import StoreUnavailable
from tests.proof.simulation.loop import LIFE, START_S, Life, SimulatedLoop

if TYPE_CHECKING:
    from tests.proof.simulation.messages import Delivery

T = TypeVar("T")

BORN = datetime(2026, 3, 5, 1, 12, tzinfo=UTC)
LONGEST_S = 3600.0
DELIVERY: ContextVar[Delivery | None] = ContextVar("delivery", default=None)


@dataclass(slots=True)
class Weather:
    """What may go wrong in a schedule, drawn from its seed: chances a call, and seconds. Most of it is off in most
    schedules, so that each trouble is also met alone.
    """

    trouble_s: float = 0.0  # how long; after that everything works
    store_s: float = 0.01
    stall: float = 0.0  # a call to the store that takes seconds
    refuse: float = 0.0  # not done, and said so
    lose: float = 0.0  # done, and said to have failed
    wire_s: float = 0.02
    wire_lost: float = 0.0  # a request or its response never arrives
    doubled: float = 0.0  # a delivery that comes to two machines at once
    again: float = 0.0  # a delivery after the message was accepted
    gives_up: float = 0.0  # whoever waits no longer cancels what it asked for
    push_refused: float = 0.0
    push_unknown: float = 0.0  # nobody learns whether a push was taken
    push_busy: float = 0.0
    crashes: int = 0
    stops: int = 0
    skew_s: float = 0.0
    everybody_delivers: bool = False
    tight_limits: bool = False

    @staticmethod
    def draw(chance: Random) -> Weather:
        def maybe(most: float) -> float:
            return chance.random() * most if chance.random() < 0.45 else 0.0

        return Weather(
            trouble_s=chance.uniform(8.0, 30.0),
            store_s=chance.choice((0.002, 0.02, 0.2)),
            stall=maybe(0.12),
            refuse=maybe(0.15),
            lose=maybe(0.15),
            wire_s=chance.choice((0.005, 0.05, 0.5)),
            wire_lost=maybe(0.2),
            doubled=maybe(0.6),
            again=maybe(0.6),
            gives_up=maybe(1.0),
            push_refused=maybe(0.3),
            push_unknown=maybe(0.4),
            push_busy=maybe(0.3),
            crashes=chance.choice((0, 0, 1, 1, 2, 4)),
            stops=chance.choice((0, 0, 0, 1, 2)),
            skew_s=chance.choice((0.0, 0.0, 2.0)),
            everybody_delivers=chance.random() < 0.2,
            tight_limits=chance.random() < 0.3,
        )


@dataclass(slots=True)
class World:
    """One schedule under way. ``breaches`` are broken promises in plain words."""

    seed: int
    chance: Random
    loop: SimulatedLoop
    weather: Weather
    breaches: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[str, str, str, float]] = field(
        default_factory=list
    )  # what a provider says that it took
    on_crash: list[Callable[[], None]] = field(default_factory=list)
    on_push: Callable[[int, str], None] = lambda _reply, _text: None
    on_report: Callable[[int, str], None] = lambda _reply, _id: None
    _events: list[tuple[float, str, tuple[object, ...]]] = field(default_factory=list)

    @staticmethod
    def of(seed: int) -> World:
        chance = Random(f"{seed}")
        weather = Weather.draw(chance)
        return World(seed, chance, SimulatedLoop(seed, until_s=LONGEST_S), weather)

    @property
    def now_s(self) -> float:
        return self.loop.time()

    @property
    def troubled(self) -> bool:
        return self.now_s - START_S < self.weather.trouble_s

    def happens(self, likely: float) -> bool:
        """Draw whether something of the weather happens now."""
        return likely > 0.0 and self.troubled and self.chance.random() < likely

    def wire_s(self) -> float:
        """Draw how long something is on its way."""
        return self.chance.random() ** 3 * (self.weather.wire_s if self.troubled else 0.02) * 3

    def told(self, what: str, *facts: object) -> None:
        """Add a line to the trace."""
        self._events.append((self.now_s, what, facts))

    def breach(self, what: str) -> None:
        """Note a broken promise."""
        self.told("BREACH", what)
        self.breaches.append(what)

    def trace(self) -> list[str]:
        """Return what happened, a line each."""
        return [
            f"{at - START_S:9.3f} {what:<16} {' '.join(map(str, facts))}" for at, what, facts in self._events
        ]

    async def pause(self, seconds: float) -> None:
        """Let so much time pass."""
        await self.loop.pause(max(seconds, 0.0))

    def outside(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start something that is no machine's."""
        return self.loop.create_task(coroutine, context=self.loop._outside.copy())


class SkewedClock:
    """A machine's clock: its wall is ``skew_s`` off."""

    def __init__(self, loop: SimulatedLoop, skew_s: float = 0.0) -> None:
        self._loop = loop
        self._born = BORN + timedelta(seconds=skew_s - START_S)

    def now(self) -> datetime:
        return self._born + timedelta(seconds=self._loop.time())

    def monotonic_s(self) -> float:
        return self._loop.time()


class Wire:
    """What one machine calls the store by. A crash loses half of what is under way, and lands the rest."""

    def __init__(self, world: World, life: Life) -> None:
        self._world = world
        self._life = life
        self._free_at_s = 0.0

    def ask(self, what: str, apply: Callable[[], T], *, in_line: bool = False) -> asyncio.Future[T]:
        """Apply it after a drawn delay, and return the future of its result, after another. What stands in line is
        applied after what came before it.
        """
        world, weather = self._world, self._world.weather
        future: asyncio.Future[T] = world.loop.create_future()
        delay = world.chance.random() ** 3 * weather.store_s * 3
        if world.happens(weather.stall):
            delay += world.chance.uniform(1.0, 14.0)
            world.told("stalls", self._life.name, what)
        if in_line:
            self._free_at_s = max(self._free_at_s + 1e-6, world.now_s + delay)
            delay = self._free_at_s - world.now_s
        lands = world.chance.random() < 0.5
        fate = world.chance.random()
        if not world.troubled or fate >= weather.refuse + weather.lose:
            fate = 2.0
        world.loop.later(delay, self._apply, what, apply, future, lands, fate)
        return future

    def _apply(
        self, what: str, apply: Callable[[], T], future: asyncio.Future[T], lands: bool, fate: float
    ) -> None:
        world = self._world
        if self._life.crashed and not lands:
            world.told("never landed", self._life.name, what)
            return
        refused = fate < world.weather.refuse
        error: Exception | None = StoreUnavailable("no store today") if refused else None
        result: T | None = None
        if error is None:
            try:
                result = apply()
            except Exception as raised:  # noqa: BLE001 - handed to whoever asked
                error = raised
            if fate < 2.0 and error is None:
                error = StoreUnavailable("its answer was lost")
        world.told("refused" if refused else "applied", self._life.name, what, error and "but failed")
        world.loop.later(world.chance.random() ** 3 * world.weather.store_s, _settle, future, result, error)


def _settle(future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
        return
    future.set_exception(error)
    # whoever asked may have given up, or crashed, before it could look
    future._log_traceback = False


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine of a store in memory, which waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("a store in memory waits for nothing")


def life() -> Life:
    """Return whose work this is."""
    found = LIFE.get()
    assert found is not None
    return found
