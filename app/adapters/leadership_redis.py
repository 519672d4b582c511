"""Leadership by leases in Redis: a key with an end, taken and renewed by one script that compares its holder."""

from __future__ import annotations

from secrets import token_hex
from typing import Final

from app.adapters.cache.connection import RedisAway, RedisConnection, RedisScript
from app.core.ports.clock import Clock

_PREFIX: Final = "yanzhen:l:"
_SURE: Final = 0.9  # of a lease; the rest is for clocks that run at different speeds, and for letting go
_RENEWALS: Final = 3

_HOLD: Final = RedisScript.of("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
_RESIGN: Final = RedisScript.of("""
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
""")


class RedisLeadership:
    """The ``Leadership`` of many processes. A lease lasts ``lease_s`` seconds from its last renewal; its holder counts
    on nine tenths of it, from before it asked.
    """

    def __init__(self, connection: RedisConnection, clock: Clock, *, lease_s: float = 15.0) -> None:
        if lease_s <= 0:
            raise ValueError("lease_s must be above 0")
        self._connection = connection
        self._clock = clock
        self._lease_s = lease_s
        self._holder = token_hex(16)
        self._sure_until: dict[str, float] = {}

    @property
    def renew_s(self) -> float:
        """Seconds between two calls of ``hold``: two may fail before a lease ends."""
        return self._lease_s / _RENEWALS

    async def hold(self, role: str) -> bool:
        """Take or renew the role; tell whether this process leads it."""
        asked_s = self._clock.monotonic_s()
        lease_ms = max(1, round(self._lease_s * 1000))
        try:
            held = await self._connection.run(_HOLD, [_PREFIX + role], [self._holder, lease_ms])
        except RedisAway:
            return self.leads(role)
        if held == 1:
            self._sure_until[role] = asked_s + self._lease_s * _SURE
        else:
            self._sure_until.pop(role, None)
        return self.leads(role)

    def leads(self, role: str) -> bool:
        """Tell whether the lease is surely still ours."""
        return self._clock.monotonic_s() < self._sure_until.get(role, 0.0)

    async def resign(self, role: str) -> None:
        """Give the role up; if Redis is away, it is free when the lease ends."""
        if self._sure_until.pop(role, None) is None:
            return
        try:
            await self._connection.run(_RESIGN, [_PREFIX + role], [self._holder])
        except RedisAway:
            return
