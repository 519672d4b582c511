"""The record in parts by hash, as a distributed PostgreSQL keeps it (docs/operations.md).

Labels and their facts stand in parts by serial, a month of facts in as many of its own; messages by key, callers by
token. Every unique key of these tables begins with what its table is spread by. Facts of no month stay together.
"""

from __future__ import annotations

from typing import Final

from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.postgresql.migrations import alone

# by table: its key, whose first column it is spread by, and how its parts are stored
_KEYS: Final = {
    "label_history": ("serial", " WITH (fillfactor = 80)"),
    "label_caller": ("serial, caller", " WITH (fillfactor = 80)"),
    "message": ("key", ""),
    "caller": ("token", ""),
}
_INDEXES: Final = (
    "SELECT pg_get_indexdef(indexrelid) FROM pg_index"
    " WHERE indrelid = $1::text::regclass AND NOT indisprimary ORDER BY 1"
)
_MONTHS: Final = (
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i"
    " JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'verification'::regclass"
    " AND c.relname <> 'verification_other' ORDER BY 1"
)


async def spread(url: str, *, ways: int) -> None:
    """Split the record into ``ways`` hash partitions a table, with what is in it; months made later follow.

    Once for a database, while no service runs on it. Raises ``StoreUnavailable``.
    """
    async with alone(url) as connection, connection.transaction():
        view = await connection.fetchval("SELECT pg_get_viewdef('told')")
        await connection.execute("DROP VIEW told")
        for table, (key, storage) in _KEYS.items():
            await _split(connection, table, key, storage, ways)
        for month, bound in await connection.fetch(_MONTHS):
            await _split_month(connection, month, bound, ways)
        await connection.execute(f"CREATE VIEW told AS {view}")


async def _split(connection: Connection, table: str, key: str, storage: str, ways: int) -> None:
    indexes = [row[0] for row in await connection.fetch(_INDEXES, table)]
    whole = await _set_aside(connection, table)
    await connection.execute(
        f"CREATE TABLE {table} (LIKE {whole} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        f" PARTITION BY HASH ({key.partition(',')[0]})"
    )
    await _make_parts(connection, table, storage, ways)
    await _refill(connection, table, whole)
    await connection.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})", timeout=3600)
    for index in indexes:
        await connection.execute(index, timeout=3600)


async def _split_month(connection: Connection, month: str, bound: str, ways: int) -> None:
    await connection.execute(f"ALTER TABLE verification DETACH PARTITION {month}")
    whole = await _set_aside(connection, month)
    await connection.execute(
        f"CREATE TABLE {month} PARTITION OF verification {bound} PARTITION BY HASH (serial)"
    )
    await _make_parts(connection, month, "", ways)
    await _refill(connection, month, whole)


async def _set_aside(connection: Connection, table: str) -> str:
    whole = f"{table}_whole"
    await connection.execute(f"ALTER TABLE {table} RENAME TO {whole}")
    return whole


async def _make_parts(connection: Connection, table: str, storage: str, ways: int) -> None:
    for part in range(ways):
        await connection.execute(
            f"CREATE TABLE {table}_{part:03d} PARTITION OF {table}"
            f" FOR VALUES WITH (MODULUS {ways}, REMAINDER {part}){storage}"
        )


async def _refill(connection: Connection, table: str, whole: str) -> None:
    copy = f"INSERT INTO {table} SELECT * FROM {whole}"  # noqa: S608 - our own names
    await connection.execute(copy, timeout=3600)
    await connection.execute(f"DROP TABLE {whole}")
