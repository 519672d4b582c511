"""Small writes that share commits: what is asked for while one commit runs goes into the next, all in one transaction.

A reply costs four such writes; one flush of the disk each would be what a busy evening of text messages costs.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from app.adapters.storage.sqlite.histories import Histories
from app.adapters.storage.sqlite.writer import Writer
from app.core.errors import StoreUnavailable

T = TypeVar("T")

_MOST: Final = 256


Work = Callable[[sqlite3.Connection], Any]


class SharedCommits:
    """Runs small pieces of work in the order of arrival. A failure fails every piece that shared the transaction."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pending: list[tuple[Work, asyncio.Future[Any]]] = []
        self._drainer: asyncio.Task[None] | None = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Queue ``work`` and return the future of its result, set after the commit.

        The future fails with ``StoreUnavailable`` if that failed. Cancelling it does not stop the work.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._pending.append((work, future))
        if self._drainer is None:
            self._drainer = loop.create_task(self._drain())
        return future

    async def close(self) -> None:
        """Wait until everything that was asked for is committed."""
        while self._drainer is not None:
            await asyncio.wait((self._drainer,))

    async def _drain(self) -> None:
        """Commit until nothing is pending. No await stands between the last look and the end."""
        try:
            while self._pending:
                batch = self._pending[:_MOST]
                del self._pending[:_MOST]
                try:
                    results = await self._writer.submit(partial(_run_all, [work for work, _ in batch]))
                except Exception as error:  # noqa: BLE001 - handed to everybody who asked
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(StoreUnavailable(str(error)))
                    continue
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        finally:
            self._drainer = None


def _run_all(works: Sequence[Work], db: sqlite3.Connection, _histories: Histories) -> list[Any]:
    return [work(db) for work in works]
