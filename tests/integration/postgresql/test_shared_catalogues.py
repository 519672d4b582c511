"""The suites about changes of the catalogue, with it shared through a real Redis, and what its editions are called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from app.adapters.cache.addresses import RedisAddress
from app.adapters.cache.connection import RedisConnection, RedisPatience
from app.adapters.cache.redis import RedisCache
from app.adapters.catalogues_cached import CachedCatalogues
from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.postgresql import PostgresqlStorage, open_postgresql
from tests.contract.store.durable_suite import DurableStoreContract
from tests.contract.store.registry_suite import LabelRegistryContract
from tests.contract.store.suite import asking
from tests.fakes.recording_log import RecordingLog
from tests.fakes.redis_server import RedisServer
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage

__all__ = ["asking"]

KEY = bytes(range(32))
_PATIENT = RedisPatience(answer_s=10, slow_s=10, connect_s=20)


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[RedisConnection]:
    with redis_server.admin() as admin:
        admin.flushall()
    connection = RedisConnection(RedisAddress.parse(redis_server.url), RecordingLog(), patience=_PATIENT)
    await connection.start()
    yield connection
    await connection.aclose()


class SharedStage(PostgresqlStage):
    """A stage on which every process reads the catalogue through Redis."""

    def __init__(self, url: str, storage: PostgresqlStorage, redis: RedisConnection) -> None:
        super().__init__(url, storage)
        self._redis = redis
        self._cached: list[CachedCatalogues] = []
        self._behind: PostgresqlStorage | None = None
        self._stages: list[SharedStage] = []

    @property
    def catalogues(self) -> CachedCatalogues:  # type: ignore[override]
        """One for each opening of the store, as a process has it."""
        if self._behind is not self.storage:
            self._behind = self.storage
            self._cached.append(
                CachedCatalogues(
                    self.storage.editions(),
                    RedisCache(self._redis, budget_s=10),
                    AesGcmSealing({1: KEY}),
                    digest_key=KEY,
                )
            )
        return self._cached[-1]

    async def other(self) -> SharedStage:
        storage = await open_postgresql(self.url)
        self._others.append(storage)
        stage = SharedStage(self.url, storage, self._redis)
        self._stages.append(stage)
        return stage

    async def close(self) -> None:
        for stage in (self, *self._stages):
            for cached in stage._cached:
                await cached.close()
        await super().close()


@pytest.fixture
async def stage(plain: Prepared, redis: RedisConnection) -> AsyncIterator[SharedStage]:
    await plain.empty()
    stage = SharedStage(plain.url, await open_postgresql(plain.url), redis)
    yield stage
    await stage.close()


class TestARecordThatLasts(DurableStoreContract):
    pass


class TestRegistry(LabelRegistryContract):
    pass


async def test_the_same_version_made_again_is_another_edition(stage: SharedStage) -> None:
    """As after a restore into the same server: every row comes again, the version among them."""
    before = await stage.storage.catalogues.edition()
    assert await stage.storage.catalogues.edition() == before
    connection: Any = await asyncpg.connect(stage.url)
    try:
        await connection.execute("UPDATE catalogue_version SET version = version")
    finally:
        await connection.close()
    after = await stage.storage.catalogues.edition()
    assert before is not None
    assert after is not None
    assert after.version == before.version
    assert after.mark != before.mark


async def test_a_database_without_names_for_editions_shares_nothing(
    stage: SharedStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for lacking in ("SELECT version, no_such_column", "SELECT version, no_such_function()"):
        monkeypatch.setattr(
            "app.adapters.storage.postgresql.catalogues._EDITION", f"{lacking} FROM catalogue_version"
        )
        assert await stage.storage.catalogues.edition() is None
    assert (await stage.catalogues.load()).version == await stage.catalogues.version()


async def test_a_second_process_reads_redis_and_not_the_tables(stage: SharedStage) -> None:
    other = await stage.other()
    whole = await stage.catalogues.load()
    assert stage.catalogues._putting is not None
    await stage.catalogues._putting
    assert await other.catalogues.load() == whole
    assert (other.catalogues.tallies.from_cache, other.catalogues.tallies.from_store) == (1, 0)
