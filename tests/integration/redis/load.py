"""Queries of many visitors, as the service asks cache and limits for each, with what they cost and what they got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.adapters.cache.connection import RedisConnection
from app.adapters.cache.redis import RedisCache
from app.adapters.throttle_redis import RedisThrottle
from app.core.model.verdict import Outcome, Verdict
from app.core.ports.throttle import ThrottleSubject
from channels.window import DuplicateWindow, Way, together
from tests.contract.throttle.suite import LIMITS
from tests.fakes.clock import FakeClock
from tests.integration.redis.relay import after
from tests.run_delay import run_delay_s

VISITORS = 10
ON_THE_WAY = 2  # that may be kept from running: this process, with the relay in it, and the server
_PACE_S = 0.004


@dataclass
class Load:
    """Loops over visitors, one a coroutine; a visitor is limited by name and all of them by one address.

    ``took_s`` is without the time for which the machine let nobody run. With ``messages`` each query is a text with two
    ids and a mistyped code, which asks most.
    """

    connection: RedisConnection
    messages: bool = False
    throttle: RedisThrottle = field(init=False)
    admitted: dict[int, int] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.throttle = RedisThrottle(self.connection, FakeClock(), LIMITS, digest_key=b"k" * 16)
        self._cache = RedisCache(self.connection)
        self._window = DuplicateWindow(self._cache)
        self._asked = 0

    async def run(self, seconds: float) -> None:
        ends = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for visitor in range(VISITORS):
                group.create_task(self._visit(visitor, ends))

    async def _visit(self, visitor: int, ends: float) -> None:
        loop = asyncio.get_running_loop()
        subject = ThrottleSubject("web", f"visitor {visitor}")
        while loop.time() < ends:
            started, delayed = loop.time(), run_delay_s()
            await (self._message if self.messages else self._query)(visitor, subject)
            self.took_s.append(loop.time() - started - ON_THE_WAY * (run_delay_s() - delayed))
            await after(_PACE_S)

    async def _query(self, visitor: int, subject: ThrottleSubject) -> None:
        assert await self._cache.find(f"answer:{visitor}") in (None, b"kept")
        if (await self.throttle.admit([subject])).allowed:
            self.admitted[visitor] = self.admitted.get(visitor, 0) + 1
        await self._cache.put(f"answer:{visitor}", b"kept", ttl_s=60)

    async def _message(self, visitor: int, subject: ThrottleSubject) -> None:
        self._asked += 1
        ids = [self._asked.to_bytes(16, "big"), (-self._asked).to_bytes(16, "big", signed=True)]
        assert await self._window.find(ids) is None
        slip = Verdict(outcome=Outcome.MISTYPED)
        if (await self.throttle.admit([subject])).allowed:
            self.admitted[visitor] = self.admitted.get(visitor, 0) + 1
            await together([self.throttle.note_wrong([subject]), self._window.note(ids, slip)])
        else:
            await self._window.note(ids, slip)
        assert await self._window.take_way(ids, Way.RESPONSE)

    @property
    def most_admitted(self) -> int:
        return max(self.admitted.values())

    @property
    def p99_s(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]
