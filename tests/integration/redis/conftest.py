"""Servers that live as long as the run, emptied before every test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from app.adapters.cache.addresses import RedisAddress
from app.adapters.cache.connection import RedisConnection, RedisPatience
from tests.fakes.recording_log import RecordingLog
from tests.fakes.redis_server import RedisServer, RedisServers, start_cluster, start_watched

# for what is not about time: a machine that stands still for a second must not look like a Redis that is away
PATIENT = RedisPatience(answer_s=10, slow_s=10, connect_s=20)


class Connect(Protocol):
    async def __call__(self, url: str, patience: RedisPatience = PATIENT) -> RedisConnection: ...


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServers]:
    cluster = start_cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.kill()


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServers]:
    """A master, its replica and three Sentinels; nobody kills any of them."""
    watched = start_watched(tmp_path_factory.mktemp("watched"), down_after_ms=30_000)
    yield watched
    watched.kill()


@pytest.fixture
def empty_server(server: RedisServer) -> RedisServer:
    with server.admin() as admin:
        admin.flushall()
    return server


@pytest.fixture
def empty_cluster(cluster: RedisServers) -> RedisServers:
    for server in cluster.servers:
        with server.admin() as admin:
            admin.flushall()
    return cluster


@pytest.fixture
def empty_watched(watched: RedisServers) -> RedisServers:
    with watched.servers[0].admin() as admin:
        admin.flushall()
    return watched


@pytest.fixture
def log() -> RecordingLog:
    return RecordingLog()


@pytest.fixture
async def connect(log: RecordingLog) -> AsyncIterator[Callable[..., object]]:
    async with AsyncExitStack() as open_ones:

        async def connect(url: str, patience: RedisPatience = PATIENT) -> RedisConnection:
            connection = RedisConnection(RedisAddress.parse(url), log, patience=patience)
            open_ones.push_async_callback(connection.aclose)
            await connection.start()
            return connection

        yield connect
