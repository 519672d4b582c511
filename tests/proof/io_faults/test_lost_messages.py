"""The connection to PostgreSQL breaks at each message of one verification: refused or recorded, and well again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
import pytest

from app.adapters.storage.postgresql import open_postgresql, upgrade_postgresql
from tests.conftest import Budget
from tests.fakes.postgres_server import PostgresServer, fresh_name
from tests.proof.harness import Prove
from tests.proof.io_faults.deeds import DEEDS
from tests.proof.io_faults.service import FACTS, Broken, Service, ask_before, issue, require_answers

MORE: Final = 200  # pieces that a deed sends and receives at most
ON_A_SERVER: Final = ("first", "many", "retry")


class Line:
    """Carries bytes between the service and the server, and breaks every connection at the ``breaks_at``-th piece."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.pieces = 0
        self.breaks_at = 0
        self.broke = False
        self._ends: set[asyncio.StreamWriter] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        self._ends |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(reader, far_writer))
                ways.create_task(self._pass(far_reader, writer))
        finally:
            self._ends -= {writer, far_writer}
            writer.close()
            far_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                self.pieces += 1
                if self.pieces == self.breaks_at:
                    self.broke = True
                    for end in self._ends:
                        end.transport.abort()
                    return
                writer.write(piece)
        with suppress(OSError):
            writer.close()


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[tuple[Line, str]]:
    """Yield a line to the server of ``url``, and the address at its near end."""
    before, _, rest = url.partition("@127.0.0.1:")
    port, _, name = rest.partition("/")
    line = Line("127.0.0.1", int(port))
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    try:
        near = server.sockets[0].getsockname()[1]
        yield line, f"{before}@127.0.0.1:{near}/{name}"
    finally:
        server.close()


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def prepared(database: PostgresServer) -> str:
    """Return the name of a database with a batch of which some labels were asked about; it is copied, never used."""

    async def prepare() -> str:
        name = await create(database)
        url = database.url(name)
        await upgrade_postgresql(url)
        await issue(await open_postgresql(url))
        await ask_before(Service(lambda: open_postgresql(url)))
        return name

    return asyncio.run(prepare())


async def create(server: PostgresServer, like: str = "template1") -> str:
    """Create a database and return its name."""
    name = fresh_name()
    connection: Any = await asyncpg.connect(server.socket_url())
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
    await connection.close()
    return name


@pytest.mark.parametrize("name", ON_A_SERVER)
async def test_the_connection_breaks_at_every_piece(
    name: str, database: PostgresServer, prepared: str, budget: Budget, prove: Prove
) -> None:
    points = 0
    for number in range(1, MORE, 1 if budget == "long" else 3):
        url = database.url(await create(database, prepared))
        async with line_to(url) as (line, near):
            service = Service(lambda near=near: open_postgresql(near))  # type: ignore[misc]
            await service.open()
            line.breaks_at = line.pieces + number
            try:
                await DEEDS[name](service)
            except Broken as broken:
                raise Broken(f"{name}, piece {number}: {broken}") from broken
            finally:
                await service.close()
        connection: Any = await asyncpg.connect(url)
        require_answers(service, await connection.fetch(FACTS))
        await connection.close()
        if not line.broke:
            break
        points += 1
    else:
        pytest.fail("it never ended")
    prove("I/O faults", breaches={"wrong_answers": 0, "not_recovered": 0}, broken_connections=points)
