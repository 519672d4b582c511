"""The tables of labels in parts by serial, as a distributed PostgreSQL keeps them (docs/operations.md)."""

from __future__ import annotations

from typing import Final

from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.postgresql.migrations import alone

_KEYS: Final = {"label_history": "serial", "label_caller": "serial, caller"}


async def spread(url: str, *, ways: int) -> None:
    """Split the states of labels into ``ways`` hash partitions by serial, with what is in them.

    Once for a database, while no service runs on it. Raises ``StoreUnavailable``.
    """
    async with alone(url) as connection, connection.transaction():
        view = await connection.fetchval("SELECT pg_get_viewdef('told')")
        await connection.execute("DROP VIEW told")
        for table, key in _KEYS.items():
            await _split(connection, table, key, ways)
        await connection.execute(f"CREATE VIEW told AS {view}")


async def _split(connection: Connection, table: str, key: str, ways: int) -> None:
    await connection.execute(f"ALTER TABLE {table} RENAME TO {table}_whole")
    await connection.execute(
        f"CREATE TABLE {table} (LIKE {table}_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY ({key}))"
        " PARTITION BY HASH (serial)"
    )
    for part in range(ways):
        await connection.execute(
            f"CREATE TABLE {table}_{part:03d} PARTITION OF {table}"
            f" FOR VALUES WITH (MODULUS {ways}, REMAINDER {part}) WITH (fillfactor = 80)"
        )
    copy = f"INSERT INTO {table} SELECT * FROM {table}_whole"  # noqa: S608 - our own names
    await connection.execute(copy, timeout=3600)
    await connection.execute(f"DROP TABLE {table}_whole")
