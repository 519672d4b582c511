"""What several processes share beside the record: limits, caches and who does what must be done once.

Limits, caches and the watch on wrong codes in Redis where one is set; else each process has its own. Who leads is told
by the record, which is there whenever anything can be done at all.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from app.adapters.cache.memory import MemoryCache
from app.adapters.journal import ServiceJournal
from app.adapters.leadership import LoneLeadership
from app.adapters.metrics import PrometheusMetrics
from app.adapters.throttle import DEFAULT_LIMITS, Limit, MemoryThrottle, UnlimitedThrottle, with_vouchers
from app.bootstrap.seats import Post
from app.bootstrap.service_keys import ServiceKeys
from app.bootstrap.storage import Storage
from app.core.errors import SettingsInvalid
from app.core.ports.cache import Cache
from app.core.ports.clock import Clock
from app.core.ports.leadership import Leadership
from app.core.ports.throttle import Throttle
from app.core.ports.verifications import CatalogueStore
from app.logs import Logs
from app.settings import Settings, ThrottleSettings

_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_WINDOW_ENTRIES: Final = 50_000  # of some 400 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """``window`` keeps what messages were answered; ``catalogues`` is the record's, or copies of it; ``leads_machine``
    and ``leads_service`` tell who does what once a machine, and once all over the service.
    """

    cache: Cache
    window: Cache
    catalogues: CatalogueStore
    throttle: Throttle
    leads_machine: Leadership
    leads_service: Leadership


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the shared parts of a service stand on; ``keys`` are the same in all processes."""

    clock: Clock
    logs: Logs
    keys: ServiceKeys
    post: Post | None
    storage: Storage
    journal: ServiceJournal
    metrics: PrometheusMetrics
    parts: AsyncExitStack


async def open_shared(settings: Settings, ground: Ground) -> Shared:
    """Return what processes share; a Redis that is away is waited for beside the service.

    Raises ``SettingsInvalid``.
    """
    url = settings.redis_url.get_secret_value()
    clock = ground.clock
    machine: Leadership = LoneLeadership() if ground.post is None else ground.post
    limits = with_vouchers({**DEFAULT_LIMITS, **_limits(settings.throttle)})
    unlimited = None if settings.throttle.enabled else UnlimitedThrottle(ground.logs.logger("throttle"))
    if not url:
        return Shared(
            cache=MemoryCache(clock),
            window=MemoryCache(clock, entries=_WINDOW_ENTRIES),
            catalogues=ground.storage.catalogues,
            throttle=unlimited or MemoryThrottle(clock, limits),
            leads_machine=machine,
            leads_service=_leads_service(settings, ground, machine),
        )
    from app.bootstrap.sharing_by_redis import share_by_redis  # a sixth of the start, and most have no Redis

    by_redis = settings.duties_by == "redis"
    return await share_by_redis(
        url,
        ground,
        limits=limits,
        unlimited=unlimited,
        leads_machine=machine,
        leads_service=None if by_redis else _leads_service(settings, ground, machine),
    )


def _leads_service(settings: Settings, ground: Ground, machine: Leadership) -> Leadership:
    """Return who leads by the record. Raises ``SettingsInvalid`` where a Redis that is not set should tell."""
    if settings.duties_by == "redis":
        raise SettingsInvalid("duties_by: redis needs redis_url. Set it, or leave duties_by at record.")
    leadership = ground.storage.leadership(ground.clock)
    if leadership is None:
        return machine
    ground.parts.push_async_callback(leadership.close)
    return leadership


def _limits(chosen: ThrottleSettings) -> dict[str, Limit]:
    return {
        "address": Limit(
            queries=chosen.ip_per_minute,
            window_s=_MINUTE_S,
            wrong=chosen.ip_wrong_per_10_minutes,
            wrong_window_s=10 * _MINUTE_S,
            slow_max_ms=DEFAULT_LIMITS["address"].slow_max_ms,
        ),
        "web": Limit(
            queries=chosen.web_per_hour,
            window_s=_HOUR_S,
            wrong=chosen.web_wrong_per_hour,
            wrong_window_s=_HOUR_S,
            slow_max_ms=DEFAULT_LIMITS["web"].slow_max_ms,
        ),
        "phone": _an_hour(chosen.phone_per_hour, chosen.phone_wrong_per_hour),
        "wechat": _an_hour(chosen.wechat_per_hour, chosen.wechat_wrong_per_hour),
    }


def _an_hour(queries: int, wrong: int) -> Limit:
    return Limit(queries=queries, window_s=_HOUR_S, wrong=wrong, wrong_window_s=_HOUR_S)
