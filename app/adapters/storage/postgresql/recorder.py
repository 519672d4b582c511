"""The one connection of a process that records: one batch at a time, one round trip a batch.

A lost connection is made again at the next call, with growing pauses while the server stays away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from app.adapters.storage.postgresql.connections import acknowledged, as_lost, as_store_errors, finish
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.postgresql.succession import Succession
from app.core.errors import CatalogueChanged, StoreUnavailable, YanzhenError

T = TypeVar("T")

_TRIES: Final = 4
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5  # a promoted standby must be found within two seconds
_CLOSE_WITHIN_S: Final = 5.0
_CATALOGUE_CHANGED: Final = "YZ001"


class Recorder:
    """Runs work on its connection in the order of arrival. Made for one event loop."""

    def __init__(self, succession: Succession, connection: Connection) -> None:
        self._succession = succession
        self._connection: Connection | None = connection
        self._one_at_a_time = asyncio.Lock()
        self._pause_s = 0.0
        self._not_before_s = 0.0
        self._closed = False
        succession.tell(self._leave)

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do ``work``, one transaction, and return its result after the commit.

        Work that the server rolled back because of others is done again, four times at most. Cancelling the caller
        does not stop the work. Raises ``StoreUnavailable`` or ``CatalogueChanged``.
        """
        return await finish(asyncio.create_task(self._run(work)))

    async def close(self) -> None:
        """Finish what was asked, and close."""
        async with self._one_at_a_time:
            self._closed = True
            await self._succession.close()
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    await connection.close(timeout=_CLOSE_WITHIN_S)
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    connection.terminate()

    async def start_over(self) -> None:
        """Leave the connection once what was asked on it is done; the next call makes another."""
        async with self._one_at_a_time:
            await self._leave()

    def drop(self) -> None:
        """End the connection at once, as the end of the process would."""
        self._closed = True
        if self._connection is not None:
            self._connection.terminate()

    async def _leave(self) -> None:
        """Connect anew at the next call."""
        if self._connection is not None:
            self._connection.terminate()

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._one_at_a_time:
            if self._closed:
                raise StoreUnavailable("The store is closed. Start the service again.")
            with as_store_errors("Recording"):
                for _ in range(_TRIES):
                    try:
                        return await self._once(work)
                    except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                        continue  # certainly rolled back
            raise StoreUnavailable("Recording failed: others were faster again and again. Repeat the step.")

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        connection = await self._connected()
        try:
            with as_lost(connection), acknowledged(connection, "Recording"):
                return await self._succession.watch(connection, work(connection))
        except YanzhenError:
            raise
        except asyncpg.PostgresError as error:
            if error.sqlstate == _CATALOGUE_CHANGED:
                raise CatalogueChanged from None
            raise
        except BaseException:
            # whether it was recorded is unknown: what is left of this connection must not answer the next batch
            connection.terminate()
            self._connection = None
            raise

    async def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None and not connection.is_closed():
            return connection
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before_s:
            raise StoreUnavailable("The database is away; the next try to connect follows in a moment.")
        try:
            connection = await self._succession.connect()
        except YanzhenError as error:
            self._pause_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            self._not_before_s = loop.time() + self._pause_s
            raise StoreUnavailable(str(error)) from error
        self._connection, self._pause_s, self._not_before_s = connection, 0.0, 0.0
        return connection
