"""What processes share through Redis: limits, caches, copies of the catalogue and the watch on wrong codes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from app.adapters.cache.addresses import RedisAddress
from app.adapters.cache.connection import RedisConnection, RedisPatience
from app.adapters.cache.metrics import CatalogueCollector, RedisCollector
from app.adapters.cache.redis import RedisCache
from app.adapters.catalogues_cached import CachedCatalogues
from app.adapters.leadership_redis import RedisLeadership
from app.adapters.throttle import Limit
from app.adapters.throttle_redis import RedisThrottle
from app.adapters.wrong_codes_redis import Announcements, RedisWrongCodes
from app.bootstrap.sharing import Ground, Shared
from app.core.ports.leadership import Leadership
from app.core.ports.throttle import Throttle
from app.core.ports.verifications import CatalogueStore
from app.logs import configure_logs
from app.settings import Settings

# what no query waits for as a rule, and large: on the connection of the limits it would look like a slow Redis
_COPY_S: Final = 0.25  # a change of the catalogue is what queries wait for
_BESIDE: Final = RedisPatience(answer_s=1.0, slow_s=1.0)


async def share_by_redis(
    url: str,
    ground: Ground,
    *,
    limits: Mapping[str, Limit],
    unlimited: Throttle | None,
    leads_machine: Leadership,
    leads_service: Leadership | None,
) -> Shared:
    """Return what processes share that know one Redis; without ``leads_service`` it tells who leads.

    Raises ``SettingsInvalid`` for an address that cannot be read.
    """
    clock, keys = ground.clock, ground.keys
    address, log = RedisAddress.parse(url), ground.logs.logger("redis")
    connection = await _connect(RedisConnection(address, log), ground)
    beside = await _connect(RedisConnection(address, log, patience=_BESIDE, use="watch"), ground)
    ground.metrics.include(RedisCollector(connection, beside))
    _share_wrong_codes(beside, ground)
    cache = RedisCache(connection)
    return Shared(
        cache=cache,
        window=cache,
        catalogues=_share_catalogues(beside, ground),
        throttle=unlimited or RedisThrottle(connection, clock, limits, digest_key=keys.throttle_key),
        leads_machine=leads_machine,
        leads_service=leads_service or RedisLeadership(connection, clock),
    )


async def _connect(connection: RedisConnection, ground: Ground) -> RedisConnection:
    await connection.start()
    ground.parts.push_async_callback(connection.aclose)
    return connection


def _share_catalogues(beside: RedisConnection, ground: Ground) -> CatalogueStore:
    """Return the catalogue with copies in Redis; the store's own where one process reads it."""
    editions, keys = ground.storage.editions(), ground.keys
    if editions is None:
        return ground.storage.catalogues
    copies = RedisCache(beside, budget_s=_COPY_S)
    cached = CachedCatalogues(editions, copies, keys.sealing, digest_key=keys.throttle_key)
    ground.metrics.include(CatalogueCollector(cached.tallies))
    ground.parts.push_async_callback(cached.close)
    return cached


def _share_wrong_codes(beside: RedisConnection, ground: Ground) -> None:
    """Let an attack be seen that is spread over many processes."""
    journal, keys = ground.journal, ground.keys
    sharing = RedisWrongCodes(
        beside,
        journal.watch,
        Announcements(burst=journal.burst_began, close=journal.close_codes_began),
        clock=ground.clock,
        sealing=keys.sealing,
        digest_key=keys.throttle_key,
    )
    sharing.start()
    ground.parts.push_async_callback(sharing.close)


def try_redis(settings: Settings) -> bool:
    """Tell whether Redis answers. Raises ``SettingsInvalid`` for an address that cannot be read."""
    address = RedisAddress.parse(settings.redis_url.get_secret_value())
    logs = configure_logs(log_format="json", level="error")

    async def attempt() -> bool:
        connection = RedisConnection(address, logs.logger("redis"))
        await connection.start()
        up = connection.up
        await connection.aclose()
        return up

    return asyncio.run(attempt())
