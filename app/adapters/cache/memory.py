"""A cache in this process: bounded, the least recently used entry goes first."""

from __future__ import annotations

from collections import OrderedDict

from app.core.ports.clock import Clock


class MemoryCache:
    """The ``Cache`` of one process. Holds at most ``entries`` values; expiry is by the monotonic clock."""

    def __init__(self, clock: Clock, *, entries: int = 100_000) -> None:
        if entries < 1:
            raise ValueError("a cache must have room for at least one entry")
        self._clock = clock
        self._entries = entries
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def find(self, key: str) -> bytes | None:
        """Return the value last put under ``key`` if it has not expired."""
        entry = self._values.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock.monotonic_s():
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return entry[1]

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep ``value`` for ``ttl_s`` seconds at most."""
        if ttl_s <= 0:
            raise ValueError("ttl_s must be above 0")
        self._values[key] = (self._clock.monotonic_s() + ttl_s, value)
        self._values.move_to_end(key)
        if len(self._values) > self._entries:
            self._values.popitem(last=False)

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        """Take ``key`` unless it is held; see the port. Nothing is awaited between the look and the taking."""
        if await self.find(key) is not None:
            return False
        await self.put(key, b"1", ttl_s=ttl_s)
        return True

    async def drop(self, key: str) -> None:
        """Forget ``key``."""
        self._values.pop(key, None)
