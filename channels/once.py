"""One message is worked on once: deliveries of it that come meanwhile share the result, later ones get what was said.

In memory, for the moments in which a store cannot tell yet; what lasts is the store's and the outbox's business.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
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

    def _find(self, keys: Sequence[bytes]) -> asyncio.Task[T] | None:
        return next((self._under_way[key] for key in keys if key in self._under_way), None)

    def _forget(self, keys: Sequence[bytes], task: asyncio.Task[T]) -> None:
        for key in keys:
            if self._under_way.get(key) is task:
                del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited has got it; if nobody did, there is nobody to tell


class Said:
    """What responses said lately, by message; the oldest of more than ``most`` keys goes first."""

    def __init__(self, *, most: int = _MOST_SAID) -> None:
        self._most = most
        self._texts: OrderedDict[bytes, str] = OrderedDict()

    def note(self, keys: Sequence[bytes], text: str) -> None:
        """Remember what the response to a message says."""
        for key in keys:
            self._texts[key] = text
            self._texts.move_to_end(key)
        while len(self._texts) > self._most:
            self._texts.popitem(last=False)

    def find(self, keys: Sequence[bytes]) -> str:
        """Return what the response to this message said, "" where none is remembered."""
        return next((self._texts[key] for key in keys if key in self._texts), "")
