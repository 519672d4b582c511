"""What every cache must do. Bind it by a subclass with the fixtures ``clock`` and ``cache``."""

from __future__ import annotations

import asyncio

import pytest

from app.core.ports.cache import Cache
from tests.fakes.clock import FakeClock


class CacheContract:
    async def test_a_missing_key_is_a_miss(self, cache: Cache) -> None:
        assert await cache.find("nothing") is None

    async def test_a_value_is_found_until_it_expires(self, cache: Cache, clock: FakeClock) -> None:
        await cache.put("key", b"value", ttl_s=100)
        clock.advance(90)  # a server's time goes on by itself
        assert await cache.find("key") == b"value"
        clock.advance(10)
        assert await cache.find("key") is None

    async def test_a_later_value_and_its_time_replace_the_earlier(
        self, cache: Cache, clock: FakeClock
    ) -> None:
        await cache.put("key", b"one", ttl_s=100)
        clock.advance(50)
        await cache.put("key", b"two", ttl_s=100)
        clock.advance(70)
        assert await cache.find("key") == b"two"

    async def test_a_dropped_key_is_a_miss_and_dropping_twice_is_fine(self, cache: Cache) -> None:
        await cache.put("key", b"value", ttl_s=100)
        await cache.drop("key")
        await cache.drop("key")
        assert await cache.find("key") is None

    async def test_keys_do_not_touch_each_other(self, cache: Cache) -> None:
        await cache.put("a" * 200, b"one", ttl_s=100)
        await cache.put("a" * 199, b"", ttl_s=100)
        await cache.drop("a" * 199)
        assert await cache.find("a" * 200) == b"one"

    async def test_one_claims_at_a_time(self, cache: Cache, clock: FakeClock) -> None:
        claims = await asyncio.gather(*(cache.claim("lease", ttl_s=100) for _ in range(20)))
        assert sum(claims) == 1
        clock.advance(100)
        assert await cache.claim("lease", ttl_s=100)
        assert not await cache.claim("lease", ttl_s=100)
        await cache.drop("lease")
        assert await cache.claim("lease", ttl_s=100)

    async def test_no_time_at_all_is_refused(self, cache: Cache) -> None:
        with pytest.raises(ValueError, match="ttl_s"):
            await cache.put("key", b"", ttl_s=0)

    async def test_an_empty_value_is_not_a_miss(self, cache: Cache) -> None:
        await cache.put("key", b"", ttl_s=100)
        assert await cache.find("key") == b""
