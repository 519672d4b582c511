"""A clock under which sessions idle as long as it is moved, because nobody can set the clock of a server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg

from tests.fakes.clock import FakeClock

_SESSIONS = (
    "SELECT pid, state_change FROM pg_stat_activity"
    " WHERE application_name = 'yanzhen duties' AND state = 'idle'"
)


class IdlingClock(FakeClock):
    """Ends each session of duties that said nothing for ``lease_s``, as the server does by a clock of its own."""

    def __init__(self, url: str, lease_s: float) -> None:
        super().__init__()
        self._url = url
        self._lease_s = lease_s
        self._idle_s: dict[tuple[int, object], float] = {}

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        with ThreadPoolExecutor(1) as aside:  # the test's own event loop waits for this
            aside.submit(asyncio.run, self._age(seconds)).result()

    async def _age(self, seconds: float) -> None:
        connection: Any = await asyncpg.connect(self._url)
        try:
            now = [tuple(row) for row in await connection.fetch(_SESSIONS)]
            self._idle_s = {session: self._idle_s.get(session, 0.0) + seconds for session in now}
            for (pid, _), idle_s in self._idle_s.items():
                if idle_s >= self._lease_s:
                    assert await connection.fetchval("SELECT pg_terminate_backend($1, 60000)", pid)
        finally:
            await connection.close()
