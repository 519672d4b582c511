"""A cache in Redis: what one machine keeps, every machine finds."""

from __future__ import annotations

import asyncio
from typing import Final

from app.adapters.cache.connection import RedisAway, RedisConnection

_PREFIX: Final = "yanzhen:c:"
_BUDGET_S: Final = 0.05


class RedisCache:
    """The ``Cache`` of many machines. A miss where Redis is away or takes longer than ``budget_s``; both are counted
    by the connection.
    """

    def __init__(self, connection: RedisConnection, *, budget_s: float = _BUDGET_S) -> None:
        self._connection = connection
        self._budget_s = budget_s

    async def find(self, key: str) -> bytes | None:
        """Return the value last put under ``key``, or None where it expired or Redis is away."""
        kept = await self._ask("GET", _PREFIX + key)
        return kept if isinstance(kept, bytes) else None

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for ``ttl_s`` seconds (to the millisecond) at most."""
        await self._ask("SET", _PREFIX + key, value, "PX", _ms(ttl_s))

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        """Take ``key`` unless it is held; True also where Redis is away, see the port."""
        try:
            async with asyncio.timeout(self._budget_s):
                taken = await self._connection.call("SET", _PREFIX + key, b"1", "NX", "PX", _ms(ttl_s))
        except (RedisAway, TimeoutError):
            return True
        return taken is not None

    async def drop(self, key: str) -> None:
        """Forget ``key``."""
        await self._ask("DEL", _PREFIX + key)

    async def _ask(self, *command: str | bytes | int) -> object:
        if not self._connection.up:
            self._connection.tallies.without += 1
            return None
        try:
            async with asyncio.timeout(self._budget_s):
                return await self._connection.call(*command)
        except (RedisAway, TimeoutError):
            return None


def _ms(ttl_s: float) -> int:
    if ttl_s <= 0:
        raise ValueError("ttl_s must be above 0")
    return max(1, round(ttl_s * 1000))
