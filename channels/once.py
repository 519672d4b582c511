"""One message is worked on once: deliveries of it that come meanwhile share the result, later ones get what was said.

In memory, for the moments in which a store cannot tell yet; what lasts is the store's and the outbox's business.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

_MOST_SAID: Final = 20_000


class Once(Generic[T]):
    """Work on messages, by their keys, one or two each; made for one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, asyncio.Task[T]] = {}

    async def share(self, keys: Sequence[bytes], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of ``work``, or of the work that is under way for a message with one of ``keys``.

        Cancelling a waiter does not cancel the work, which others may wait for.
        """
        task = self._find(keys)
        if task is None:
            task = asyncio.create_task(work())
            for key in keys:
                self._under_way[key] = task
            task.add_done_callback(lambda done: self._forget(keys, done))
        return await asyncio.shield(task)

    def is_under_way(self, keys: Sequence[bytes]) -> bool:
        """Tell whether work on such a message has not ended yet."""
        return self._find(keys) is not None

    async def close(self) -> None:
        """Wait until all work has ended, also that for which nobody waits any more."""
        while self._under_way:
            await asyncio.wait(set(self._under_way.values()))

    def _find(self, keys: Sequence[bytes]) -> asyncio.Task[T] | None:
        return next((self._under_way[key] for key in keys if key in self._under_way), None)

    def _forget(self, keys: Sequence[bytes], task: asyncio.Task[T]) -> None:
        for key in keys:
            if self._under_way.get(key) is task:
                del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited has got it; if nobody did, there is nobody to tell


class Together(Generic[T]):
    """Requests that are alike and under way at once: the first does the work itself, the others wait for its result.

    It makes no task, so that a request which is alone, as nearly all are, pays for a future and no more.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[T | None]] = {}

    async def share(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """Return the result of ``work``, and whether another request did it.

        If the one at work is cancelled or fails, one of those who wait does the work instead: every round ends
        for at least one of them.
        """
        while (others := self._under_way.get(key)) is not None:
            result = await asyncio.shield(others)  # whoever gives up waiting must not end it for the rest
            if result is not None:
                return result, True
        mine = self._under_way[key] = asyncio.get_running_loop().create_future()
        found: T | None = None
        try:
            found = await work()
            return found, False
        finally:
            del self._under_way[key]
            mine.set_result(found)


class Said(Generic[T]):
    """What responses said lately, by message; the oldest of more than ``most`` keys goes first."""

    def __init__(self, *, most: int = _MOST_SAID) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, T] = OrderedDict()

    def note(self, keys: Sequence[bytes], said: T) -> None:
        """Remember what the response to a message says."""
        for key in keys:
            self._kept[key] = said
            self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def find(self, keys: Sequence[bytes]) -> T | None:
        """Return what the response to this message said, None where none is remembered."""
        return next((self._kept[key] for key in keys if key in self._kept), None)
