"""A database with the two batches of the stage, and how it is emptied again: deleting is quicker than making one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import asyncpg

from app.adapters.storage.postgresql import open_postgresql, spread_postgresql, upgrade_postgresql
from tests.contract.store.sqlite_stage import issue_batches
from tests.fakes.postgres_server import PostgresServer, fresh_name

_RECORD = (
    *(
        "recall_watch",
        "call",
        "report",
        "spending",
        "notice",
        "obeyed",
        "correspondent",
        "reply_key",
        "reply",
    ),
    *("message", "caller", "label_caller", "label_history", "verification", "imported_code", "key_check"),
)
_CATALOGUE = ("recall_event", "state_event", "batch", "programme", "product", "brand")


# of many parts only those that ever held a row are asked
_EMPTY_PARTS = """DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relispartition AND relnamespace = current_schema()::regnamespace
            AND pg_relation_size(oid) > 0
    LOOP
        EXECUTE 'DELETE FROM ' || part;
    END LOOP;
END $$"""
_SPREAD = frozenset({"message", "caller", "label_caller", "label_history", "verification"})


@dataclass(frozen=True)
class Prepared:
    """The addresses of a database, and the statements that bring it back to its beginning."""

    url: str
    socket_url: str
    back: str
    sharded: bool

    @property
    def address(self) -> str:
        """One form of the schema is asked by its socket, the other by TCP with a password."""
        return self.socket_url if self.sharded else self.url

    async def empty(self) -> None:
        connection: Any = await asyncpg.connect(self.socket_url)
        try:
            await connection.execute(self.back)
        finally:
            await connection.close()


async def create(server: PostgresServer) -> str:
    """Create an empty database and return its name."""
    name = fresh_name()
    connection: Any = await asyncpg.connect(server.socket_url())
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return name


async def prepare(server: PostgresServer, *, shards: int = 0) -> Prepared:
    name = await create(server)
    url = server.socket_url(name)
    await upgrade_postgresql(url)
    if shards:
        await spread_postgresql(url, ways=shards)
    storage = await open_postgresql(url)
    try:
        await issue_batches(storage.registry)
    finally:
        await storage.close()
    connection: Any = await asyncpg.connect(url)
    try:
        back = [f"DELETE FROM {table}" for table in _RECORD if not (shards and table in _SPREAD)]
        back += [_EMPTY_PARTS] if shards else []
        for table in _CATALOGUE:
            last = await connection.fetchval(f"SELECT coalesce(max(id), 0) FROM {table}")
            back.append(f"DELETE FROM {table} WHERE id > {last}")
        counter = await connection.fetchval("SELECT next FROM serial_counter WHERE layout = 20")
        back.append("DELETE FROM serial_counter WHERE layout <> 20")
        back.append(f"UPDATE serial_counter SET next = {counter}")
    finally:
        await connection.close()
    return Prepared(
        url=server.url(name),
        socket_url=url,
        back="BEGIN;" + ";".join(back) + ";COMMIT",
        sharded=bool(shards),
    )
