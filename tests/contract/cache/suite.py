"""What every cache must do. Bind it by a subclass with the fixtures ``clock`` and ``cache``."""

from __future__ import annotations

from app.core.ports.cache import Cache
from tests.fakes.clock import FakeClock


class CacheContract:
    async def test_a_missing_key_is_a_miss(self, cache: Cache) -> None:
        assert await cache.find("nothing") is None

    async def test_a_value_is_found_until_it_expires(self, cache: Cache, clock: FakeClock) -> None:
        await cache.put("key", b"value", ttl_s=10)
        clock.advance(9.5)
        assert await cache.find("key") == b"value"
        clock.advance(0.5)
        assert await cache.find("key") is None

    async def test_a_later_value_and_its_time_replace_the_earlier(
        self, cache: Cache, clock: FakeClock
    ) -> None:
        await cache.put("key", b"one", ttl_s=10)
        clock.advance(5)
        await cache.put("key", b"two", ttl_s=10)
        clock.advance(7)
        assert await cache.find("key") == b"two"

    async def test_a_dropped_key_is_a_miss_and_dropping_twice_is_fine(self, cache: Cache) -> None:
        await cache.put("key", b"value", ttl_s=10)
        await cache.drop("key")
        await cache.drop("key")
        assert await cache.find("key") is None

    async def test_keys_do_not_touch_each_other(self, cache: Cache) -> None:
        await cache.put("a" * 200, b"one", ttl_s=10)
        await cache.put("a" * 199, b"", ttl_s=10)
        await cache.drop("a" * 199)
        assert await cache.find("a" * 200) == b"one"

    async def test_an_empty_value_is_not_a_miss(self, cache: Cache) -> None:
        await cache.put("key", b"", ttl_s=10)
        assert await cache.find("key") == b""
