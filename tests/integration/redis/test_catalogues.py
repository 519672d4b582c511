"""The catalogue that processes share, on a real server, behind Sentinels, on a real Cluster, and while Redis dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.adapters import catalogues_cached
from app.adapters.cache.connection import RedisPatience
from app.adapters.cache.metrics import CatalogueCollector
from app.adapters.cache.redis import RedisCache
from app.adapters.catalogues_cached import CachedCatalogues
from app.adapters.sealing import AesGcmSealing
from tests.contract.catalogues.suite import CatalogueContract, OpenCatalogues, catalogue_of, same
from tests.fakes.editioned_memory import EditionedMemory
from tests.fakes.redis_server import RedisServer, RedisServers
from tests.integration.redis.conftest import PATIENT, Connect
from tests.integration.redis.relay import Fault, relay_to

pytestmark = pytest.mark.xdist_group("redis")

KEY = bytes(range(32))
Open = Callable[..., CachedCatalogues]


@pytest.fixture
def store() -> EditionedMemory:
    return EditionedMemory(catalogue_of(5))


@pytest.fixture
async def open_on(store: EditionedMemory) -> AsyncIterator[Open]:
    async with AsyncExitStack() as open_ones:

        def open_one(cache: RedisCache, per_part: int = 32) -> CachedCatalogues:
            process = CachedCatalogues(
                store, cache, AesGcmSealing({1: KEY}), digest_key=KEY, per_part=per_part
            )
            open_ones.push_async_callback(process.close)
            return process

        yield open_one


async def settled(process: CachedCatalogues) -> CachedCatalogues:
    await process.load()
    if process._putting is not None:
        await process._putting
    return process


class OnRedis(CatalogueContract):
    @pytest.fixture
    async def open_catalogues(self, connect: Connect, url: str, open_on: Open) -> OpenCatalogues:
        caches = [RedisCache(await connect(url), budget_s=10) for _ in range(3)]
        turn = iter(range(100))
        return lambda: open_on(caches[next(turn) % 3])


class TestOnOneServer(OnRedis):
    @pytest.fixture
    def url(self, empty_server: RedisServer) -> str:
        return empty_server.url


class TestBehindSentinels(OnRedis):
    @pytest.fixture
    def url(self, empty_watched: RedisServers) -> str:
        return empty_watched.url


class TestOnACluster(OnRedis):
    @pytest.fixture
    def url(self, empty_cluster: RedisServers) -> str:
        return empty_cluster.url


async def test_a_change_is_read_once_by_many_processes(
    connect: Connect,
    empty_server: RedisServer,
    store: EditionedMemory,
    open_on: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # a machine that has much to do may be slow to ask and to put: the others wait for a minute
    monkeypatch.setattr(catalogues_cached, "_SLOW_S", 600.0)
    monkeypatch.setattr(catalogues_cached, "_LOOKS", 1200)
    store.become(catalogue_of(6, batches=3000))
    processes = [
        open_on(RedisCache(await connect(empty_server.url), budget_s=10), per_part=512) for _ in range(6)
    ]
    found = await asyncio.gather(*(process.load() for process in processes))
    assert all(same(one, catalogue_of(6, batches=3000)) for one in found)
    assert store.loads == 1
    with empty_server.admin() as admin:
        keys = admin.keys("yanzhen:c:catalogue:*")
        assert all(0 < int(admin.pttl(key)) <= 5_460_000 for key in keys), "everything there has an end"
        assert len(keys) in {8, 9}, "a list, the names, six parts; perhaps still the claim"
        assert max(int(admin.memory_usage(key)) for key in keys) < 128_000, "no value is large"


async def test_values_spoiled_in_redis_decide_nothing(
    connect: Connect, empty_server: RedisServer, store: EditionedMemory, open_on: Open
) -> None:
    cache = RedisCache(await connect(empty_server.url), budget_s=10)
    await settled(open_on(cache))
    store.become(catalogue_of(6, recalled=40))
    await settled(open_on(cache))
    with empty_server.admin() as admin:
        for key in sorted(admin.keys("yanzhen:c:catalogue:*")):
            for spoiled in (b"", b"junk" * 100, bytes(admin.get(key) or b"")[:-3]):
                admin.set(key, spoiled, ex=60)
                process = await settled(open_on(cache))
                assert same(await process.load(), catalogue_of(6, recalled=40))
            admin.delete(key)
            admin.lpush(key, "of another kind")
            assert same(await open_on(cache).load(), catalogue_of(6, recalled=40))
            admin.delete(key)
            await settled(open_on(cache))


@pytest.mark.parametrize("fault", [Fault.HOLE, Fault.CUT])
async def test_redis_that_goes_away_costs_its_patience_and_nothing_else(
    connect: Connect, empty_server: RedisServer, store: EditionedMemory, open_on: Open, fault: Fault
) -> None:
    patience = RedisPatience(answer_s=0.3, slow_s=0.3, connect_s=5)
    async with relay_to(empty_server.port) as relay:
        redis = await connect(f"redis://127.0.0.1:{relay.port}", patience)
        process = await settled(open_on(RedisCache(redis, budget_s=0.3)))
        relay.fault = fault
        for version in (6, 7, 8):
            store.become(catalogue_of(version, recalled=version))
            async with asyncio.timeout(30):
                assert same(await process.load(), catalogue_of(version, recalled=version))
        assert not redis.up
        assert process.tallies.from_store == 4
        relay.fault = Fault.CUT


async def test_redis_killed_and_back_empty(
    connect: Connect, tmp_path_factory: pytest.TempPathFactory, store: EditionedMemory, open_on: Open
) -> None:
    server = RedisServer(tmp_path_factory.mktemp("mortal")).start()
    try:
        first = await settled(open_on(RedisCache(await connect(server.url), budget_s=10)))
        connection = await connect(server.url)
        second = open_on(RedisCache(connection, budget_s=10))
        assert same(await second.load(), catalogue_of(5))
        server.kill()
        store.become(catalogue_of(6, recalled=1))
        for process in (first, second):
            assert same((await settled(process))._catalogue or catalogue_of(0), catalogue_of(6, recalled=1))
        assert store.loads == 3
        server.start()
        third_on = await connect(server.url, PATIENT)
        await settled(open_on(RedisCache(third_on, budget_s=10)))
        fourth = open_on(RedisCache(third_on, budget_s=10))
        assert same(await fourth.load(), catalogue_of(6, recalled=1))
        assert store.loads == 4
        registry = CollectorRegistry()
        registry.register(CatalogueCollector(fourth.tallies))
        assert b'yanzhen_catalogue_loads_total{source="redis"} 1.0' in generate_latest(registry)
    finally:
        server.kill()
