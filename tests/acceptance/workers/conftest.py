"""A PostgreSQL server, a database with a thousand active labels on it, and two workers that serve on it."""

import asyncio
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.acceptance.cli.shell import Said, Shell
from tests.acceptance.workers.crew import Crew
from tests.fakes.postgres_server import PostgresServer, fresh_name


@dataclass(frozen=True)
class ServerShell(Shell):
    """Runs commands on a PostgreSQL database."""

    url: str = ""

    def run(self, *words: object, expect: int = 0) -> Said:
        return super().run(*words, "--set", f"database_url={self.url}", expect=expect)


@dataclass
class Stock:
    """``take`` gives codes that nobody asked before."""

    shell: ServerShell
    codes: list[str] = field(repr=False)

    def take(self, count: int) -> list[str]:
        taken, self.codes = self.codes[:count], self.codes[count:]
        return taken


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def stock(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Stock:
    return _stock(postgres, tmp_path_factory.mktemp("workers"))


@pytest.fixture
def own_stock(postgres: PostgresServer, tmp_path: Path) -> Stock:
    """A database that no other test's workers lead."""
    return _stock(postgres, tmp_path)


def _stock(postgres: PostgresServer, parent: Path) -> Stock:
    name = fresh_name()
    asyncio.run(_create(postgres, name))
    folder = parent / "data"
    shell = ServerShell(folder, postgres.url(name))
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾", "--short-name", "青禾")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉", "--thresholds", "1,4")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", 1000)["id"]
    shell.run("batch", "activate", batch)
    labels = folder / "labels.csv"
    shell.run("batch", "export", batch, "--out", labels)
    with labels.open(newline="") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    return Stock(shell, codes)


@pytest.fixture(scope="session")
def crew(stock: Stock) -> Iterator[Crew]:
    crew = Crew(stock.shell.folder, stock.shell.url)
    try:
        crew.until_seen("worker_ready", 2)
        yield crew
    finally:
        assert crew.stop() == 0


async def _create(server: PostgresServer, name: str) -> None:
    connection: Any = await asyncpg.connect(server.socket_url())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
