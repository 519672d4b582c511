"""Queries of many visitors, as the service asks cache and limits for each, with what they cost and what they got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.adapters.cache.connection import RedisConnection
from app.adapters.cache.redis import RedisCache
from app.adapters.throttle_redis import RedisThrottle
from app.core.ports.throttle import ThrottleSubject
from tests.contract.throttle.suite import LIMITS
from tests.fakes.clock import FakeClock
from tests.integration.redis.relay import after

VISITORS = 10
_PACE_S = 0.004


@dataclass
class Load:
    """Loops over visitors, one a coroutine; a visitor is limited by name and all of them by one address."""

    connection: RedisConnection
    throttle: RedisThrottle = field(init=False)
    admitted: dict[int, int] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.throttle = RedisThrottle(self.connection, FakeClock(), LIMITS, digest_key=b"k" * 16)
        self._cache = RedisCache(self.connection)

    async def run(self, seconds: float) -> None:
        ends = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for visitor in range(VISITORS):
                group.create_task(self._visit(visitor, ends))

    async def _visit(self, visitor: int, ends: float) -> None:
        loop = asyncio.get_running_loop()
        subject = ThrottleSubject("web", f"visitor {visitor}")
        while loop.time() < ends:
            started = loop.time()
            await self._query(visitor, subject)
            self.took_s.append(loop.time() - started)
            await after(_PACE_S)

    async def _query(self, visitor: int, subject: ThrottleSubject) -> None:
        assert await self._cache.find(f"answer:{visitor}") in (None, b"kept")
        if (await self.throttle.admit([subject])).allowed:
            self.admitted[visitor] = self.admitted.get(visitor, 0) + 1
        await self._cache.put(f"answer:{visitor}", b"kept", ttl_s=60)

    @property
    def most_admitted(self) -> int:
        return max(self.admitted.values())

    @property
    def p99_s(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]
