"""One server a test process, one prepared database a form of the schema; a test gets it emptied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from app.adapters.storage.postgresql import PostgresqlStorage, open_postgresql
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.prepared import Prepared, prepare


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def plain(server: PostgresServer) -> Prepared:
    return asyncio.run(prepare(server))


@pytest.fixture(scope="session")
def sharded(server: PostgresServer) -> Prepared:
    return asyncio.run(prepare(server, shards=64))


@pytest.fixture
async def storage(plain: Prepared) -> AsyncIterator[PostgresqlStorage]:
    await plain.empty()
    storage = await open_postgresql(plain.url)
    yield storage
    await storage.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker, so that one server does."""
    for item in items:
        if item.nodeid.startswith("tests/integration/postgresql/"):
            item.add_marker(pytest.mark.xdist_group("postgresql"))
