"""Moving to a promoted standby although the old primary only fell silent, as a machine without power does.

Its connections would wait for an answer until their deadline. Where an answer takes long, the servers of the address
are asked who takes commits; if it is another one, whatever waits for the old one is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from app.adapters.storage.postgresql.addresses import servers_of
from app.adapters.storage.postgresql.driver import Connection
from app.core.errors import YanzhenError

T = TypeVar("T")
FindPrimary = Callable[[str], Awaitable[tuple[Connection, str]]]

_DOUBT_AFTER_S: Final = 0.5


class Succession:
    """Knows which of the servers of an address takes commits; made for one event loop.

    Where there is one server only, nothing is ever looked for.
    """

    def __init__(self, url: str, server: str, find_primary: FindPrimary) -> None:
        self._url = url
        self._server = server
        self._find_primary = find_primary
        self._several = len(servers_of(url)) > 1
        self._waiting: set[Connection] = set()
        self._looking: asyncio.Task[None] | None = None
        self._heirs: list[Callable[[], Awaitable[None]]] = []

    def tell(self, moved: Callable[[], Awaitable[None]]) -> None:
        """Call ``moved`` when another server took the place of the last one: no connection to that is of use then."""
        self._heirs.append(moved)

    async def connect(self) -> Connection:
        """Return a new connection to the server that takes commits. Raises as ``find_primary`` does."""
        connection, server = await self._find_primary(self._url)
        await self._move_to(server)
        return connection

    async def watch(self, connection: Connection, work: Awaitable[T]) -> T:
        """Return the result of ``work`` on ``connection``, which fails once another server has taken its place."""
        if not self._several:
            return await work
        self._waiting.add(connection)
        doubt = asyncio.get_running_loop().call_later(_DOUBT_AFTER_S, self._doubt)
        try:
            return await work
        finally:
            doubt.cancel()
            self._waiting.discard(connection)

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))

    def _doubt(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Look until nobody waits any more; each look ends by itself within the time that connecting may take."""
        while self._waiting:
            try:
                found, server = await self._find_primary(self._url)
            except YanzhenError:
                pass
            else:
                found.terminate()
                await self._move_to(server)
            await asyncio.sleep(_DOUBT_AFTER_S)

    async def _move_to(self, server: str) -> None:
        if server == self._server:
            return
        self._server = server
        for connection in tuple(self._waiting):
            connection.terminate()
        for moved in self._heirs:
            await moved()
