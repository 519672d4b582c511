from __future__ import annotations

import pytest

from app.adapters.cache.memory import MemoryCache
from tests.contract.cache.suite import CacheContract
from tests.fakes.clock import FakeClock


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def cache(self, clock: FakeClock) -> MemoryCache:
        return MemoryCache(clock, entries=100)


async def test_the_least_recently_used_entry_makes_room() -> None:
    cache = MemoryCache(FakeClock(), entries=2)
    for key in ("a", "b"):
        await cache.put(key, b"x", ttl_s=10)
    assert await cache.find("a") == b"x"
    await cache.put("c", b"x", ttl_s=10)
    assert [await cache.find(key) for key in ("a", "b", "c")] == [b"x", None, b"x"]


async def test_no_room_and_no_time_are_refused() -> None:
    with pytest.raises(ValueError, match="room"):
        MemoryCache(FakeClock(), entries=0)
    with pytest.raises(ValueError, match="ttl_s"):
        await MemoryCache(FakeClock()).put("key", b"", ttl_s=0)
