"""An event loop whose time is made up: where nothing is ready it is the next timer's moment at once.

Everything that runs in it runs in one order, which the seed decides: timers of one moment come in a drawn order, and
whatever stands for a thread or a wire ends after a drawn delay. Work of a machine that crashed is never run again.
"""

from __future__ import annotations

import asyncio
from asyncio import tasks
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

MOST_STEPS = 400_000
START_S = 1000.0


class Life:
    """One run of a machine, from its start to its end. ``crashed``: nothing of it runs any more."""

    __slots__ = ("crashed", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.crashed = False


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class Handle:
    """What asyncio knows as a handle, with no more than what a loop without debugging needs."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_when")

    def __init__(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._context = context if context is not None else copy_context()
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when


class NeverEnds(AssertionError):
    """The schedule stands still, or goes on for ever."""


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class SimulatedLoop(asyncio.BaseEventLoop):
    """One schedule. ``complaints`` are what asyncio would have logged, of living machines."""

    def __init__(self, seed: int, *, until_s: float) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self.made: list[tuple[asyncio.Task[Any], Life | None]] = []
        self.steps = 0
        self._now = START_S
        self._until = START_S + until_s
        self._draw = Random(seed).random
        self._timers: list[tuple[float, float, int, Handle]] = []
        self._numbers = count()
        self._line: deque[Handle] = deque()
        self._outside = copy_context()

    def time(self) -> float:
        return self._now

    def later(self, seconds: float, call: Callable[..., object], *args: object) -> None:
        """Call it after ``seconds`` as something outside every machine: no crash undoes it."""
        self.call_at(self._now + seconds, call, *args, context=self._outside)

    async def pause(self, seconds: float) -> None:
        """Let so much of the made-up time pass, for which nobody waits in earnest."""
        future = self.create_future()
        self.call_later(seconds, _wake, future)
        await future

    # -- what asyncio asks of a loop -------------------------------------------------------------------------

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(self._now, callback, args, context)
        self._line.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        raise AssertionError("a thread has no place in a simulation")

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(when, callback, args, context)
        heappush(self._timers, (when, self._draw(), next(self._numbers), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = tasks.Task(coro, loop=self, name=name or "", context=context)
        self.made.append((task, (context or copy_context()).get(LIFE)))
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Run it here, after a delay, as if by a thread."""
        future = self.create_future()

        def run() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - handed to whoever asked
                outcome, value = future.set_exception, error
            else:
                outcome, value = future.set_result, result
            if not future.done():
                outcome(value)

        self.call_later(self._draw() * 0.01, run)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _run_once(self) -> None:
        line = self._line
        while not self._stopping:
            if not line:
                self._jump()
            self.steps += len(line)
            if self.steps > MOST_STEPS:
                raise NeverEnds(f"{MOST_STEPS} steps were not enough")
            for _ in range(len(line)):
                handle = line.popleft()
                if handle._cancelled:
                    continue
                context = handle._context
                life = context.get(LIFE)
                if life is None or not life.crashed:
                    try:
                        context.run(handle._callback, *handle._args)
                    except Exception as error:  # noqa: BLE001 - as every event loop
                        self.complaints.append(f"{handle._callback!r}: {error!r}")

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][3]._cancelled:
            heappop(timers)
        if not timers:
            raise NeverEnds("everybody waits for somebody else")
        self._now = now = timers[0][0]
        if now > self._until:
            raise NeverEnds(f"it was not over after {self._until - START_S:.0f} s")
        while timers and timers[0][0] <= now:
            self._line.append(heappop(timers)[3])

    # -- the end ---------------------------------------------------------------------------------------------

    def hanging(self) -> list[str]:
        """Return what machines that did not crash have left behind, and errors that nobody looked at."""
        left = []
        for task, life in self.made:
            if life is not None and life.crashed:
                continue
            if not task.done():
                left.append(f"never ended: {task.get_coro().__qualname__} of {life and life.name}")
            elif not task.cancelled() and task._log_traceback:
                left.append(f"nobody looked at {task.exception()!r} of {task.get_coro().__qualname__}")
                task._log_traceback = False
        return left

    def bury(self) -> None:
        """Close the loop with all that crashed machines left: their last words must reach nobody."""
        for task, _ in self.made:
            if task.done():
                if not task.cancelled():
                    task._log_traceback = False
                continue
            task._log_destroy_pending = False
            for _ in range(4):  # what waits in a ``finally`` is closed once more
                with suppress(Exception):
                    task.get_coro().close()
                    break
        self._line.clear()
        self._timers.clear()
        self.made.clear()
        self.close()
