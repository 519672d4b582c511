"""Leadership by locks of a session: who leads is decided where every answer is recorded, so no other server is needed.

The session has a connection of its own and ends by itself when its process falls silent; its locks end with it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from app.adapters.storage.postgresql.connections import as_lost, as_store_errors
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.postgresql.succession import Succession
from app.core.errors import YanzhenError
from app.core.ports.clock import Clock

LOCKS: Final = (
    795601026  # the first half of the locks' keys; the changes of the schema have keys of one number
)
_SURE: Final = 0.9  # of a lease; the rest is for clocks that run at different speeds, and for letting go
_RENEWALS: Final = 3
_ANSWER_WITHIN_S: Final = 2.0
_SETTLE: Final = (
    "SELECT set_config('idle_session_timeout', $1, FALSE),"
    " set_config('application_name', 'yanzhen duties', FALSE)"
)
_TAKE: Final = f"SELECT pg_try_advisory_lock({LOCKS}, $1)"
_RENEW: Final = "SELECT TRUE"  # whoever is answered has its session still, and so its locks
_RESIGN: Final = f"SELECT pg_advisory_unlock({LOCKS}, $1)"


class PostgresqlLeadership:
    """The ``Leadership`` of many processes. The server ends a session ``lease_s`` seconds after its last renewal; its
    holder counts on nine tenths of it, from before it asked. A holder whose process or connection ends is followed at
    the next call of another's ``hold``. Made for one event loop.
    """

    def __init__(self, succession: Succession, clock: Clock, *, lease_s: float = 15.0) -> None:
        if lease_s <= 0:
            raise ValueError("lease_s must be above 0")
        self._succession = succession
        self._clock = clock
        self._lease_s = lease_s
        self._connection: Connection | None = None
        self._locked: set[str] = set()
        self._sure_until: dict[str, float] = {}
        self._one_at_a_time = asyncio.Lock()
        self._closed = False

    @property
    def renew_s(self) -> float:
        """Seconds between two calls of ``hold``: two may fail before a lease ends."""
        return self._lease_s / _RENEWALS

    async def hold(self, role: str) -> bool:
        """Take or renew the role; tell whether this process leads it."""
        async with self._one_at_a_time:
            if self._closed:
                return False
            asked_s = self._clock.monotonic_s()
            try:
                held = await self._take(role)
            except YanzhenError:
                self._break_off()
                return self.leads(role)
            if held:
                self._sure_until[role] = asked_s + self._lease_s * _SURE
            else:
                self._sure_until.pop(role, None)
            return self.leads(role)

    def leads(self, role: str) -> bool:
        """Tell whether the role is surely still ours."""
        return self._clock.monotonic_s() < self._sure_until.get(role, 0.0)

    async def resign(self, role: str) -> None:
        """Give the role up; if the server is away, it is free when the session ends."""
        async with self._one_at_a_time:
            self._sure_until.pop(role, None)
            connection = self._connection
            if connection is None or role not in self._locked:
                return
            self._locked.discard(role)
            try:
                await _ask(connection, _RESIGN, _key(role))
            except YanzhenError:
                self._break_off()

    async def close(self) -> None:
        """Give every role up, and close."""
        async with self._one_at_a_time:
            self._closed = True
            self._sure_until.clear()
            connection = self._connection
            if connection is None:
                return
            try:
                await connection.close(timeout=_ANSWER_WITHIN_S)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                connection.terminate()

    async def _take(self, role: str) -> bool:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = await self._connect()
        if role in self._locked:
            await _ask(connection, _RENEW)
            return True
        [[held]] = await _ask(connection, _TAKE, _key(role))
        if held:
            self._locked.add(role)
        return bool(held)

    async def _connect(self) -> Connection:
        self._locked.clear()  # they went with the last session
        self._connection = connection = await self._succession.connect()
        await _ask(connection, _SETTLE, str(max(1, round(self._lease_s * 1000))))
        return connection

    def _break_off(self) -> None:
        """Leave a session of which nothing is known; its locks end with it, at the latest when the lease does."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None
        self._locked.clear()


async def _ask(connection: Connection, sql: str, *values: object) -> Sequence[Any]:
    with as_store_errors("Asking who leads"), as_lost(connection):
        return await connection.fetch(sql, *values, timeout=_ANSWER_WITHIN_S)


def _key(role: str) -> int:
    """Return the second half of a lock's key, an integer of four bytes."""
    return int.from_bytes(hashlib.sha256(role.encode()).digest()[:4], signed=True)
