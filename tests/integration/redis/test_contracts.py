"""The suites of cache, throttle and leadership on a real server, behind real Sentinels, and on a Cluster of three."""

from __future__ import annotations

import pytest

from app.adapters.cache.redis import RedisCache
from app.adapters.leadership_redis import RedisLeadership
from app.adapters.throttle_redis import RedisThrottle
from tests.contract.cache.suite import CacheContract
from tests.contract.leadership.suite import LeadershipContract
from tests.contract.throttle.suite import LIMITS, ThrottleContract
from tests.fakes.redis_server import RedisServer, RedisServers
from tests.integration.redis.aging import AgingClock
from tests.integration.redis.conftest import Connect

pytestmark = pytest.mark.xdist_group("redis")

DIGEST_KEY = b"the digest key of these tests"


class OnOneServer:
    @pytest.fixture
    def url(self, empty_server: RedisServer) -> str:
        return empty_server.url

    @pytest.fixture
    def clock(self, empty_server: RedisServer) -> AgingClock:
        return AgingClock([empty_server])


class BehindSentinels:
    @pytest.fixture
    def url(self, empty_watched: RedisServers) -> str:
        return empty_watched.url

    @pytest.fixture
    def clock(self, empty_watched: RedisServers) -> AgingClock:
        return AgingClock(empty_watched.servers[:1])


class OnACluster:
    @pytest.fixture
    def url(self, empty_cluster: RedisServers) -> str:
        return empty_cluster.url

    @pytest.fixture
    def clock(self, empty_cluster: RedisServers) -> AgingClock:
        return AgingClock(empty_cluster.servers)


class RedisCaches(CacheContract):
    @pytest.fixture
    async def cache(self, connect: Connect, url: str) -> RedisCache:
        return RedisCache(await connect(url), budget_s=10)


class RedisThrottles(ThrottleContract):
    @pytest.fixture
    async def throttle(self, connect: Connect, url: str, clock: AgingClock) -> RedisThrottle:
        return RedisThrottle(await connect(url), clock, LIMITS, digest_key=DIGEST_KEY)


class RedisLeaderships(LeadershipContract):
    @pytest.fixture
    async def first(self, connect: Connect, url: str, clock: AgingClock) -> RedisLeadership:
        return RedisLeadership(await connect(url), clock, lease_s=60)

    @pytest.fixture
    async def second(self, connect: Connect, url: str, clock: AgingClock) -> RedisLeadership:
        return RedisLeadership(await connect(url), clock, lease_s=60)


class TestCacheOnOneServer(OnOneServer, RedisCaches):
    pass


class TestCacheBehindSentinels(BehindSentinels, RedisCaches):
    pass


class TestCacheOnACluster(OnACluster, RedisCaches):
    pass


class TestThrottleOnOneServer(OnOneServer, RedisThrottles):
    pass


class TestThrottleBehindSentinels(BehindSentinels, RedisThrottles):
    pass


class TestThrottleOnACluster(OnACluster, RedisThrottles):
    pass


class TestLeadershipOnOneServer(OnOneServer, RedisLeaderships):
    pass


class TestLeadershipBehindSentinels(BehindSentinels, RedisLeaderships):
    pass


class TestLeadershipOnACluster(OnACluster, RedisLeaderships):
    pass
