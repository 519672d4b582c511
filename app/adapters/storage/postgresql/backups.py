"""Backups of a PostgreSQL database: every table by COPY in one snapshot, so of one moment, beside any service.

No client programs are needed, and a backup can be looked over without a server. Indexes, functions and partitions come
from the migrations, so it fits any server this program runs on.
"""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final, Protocol, cast

from app.adapters.storage.backups import Census, Check, Inspection, as_file_errors
from app.adapters.storage.postgresql.connections import as_store_errors, connect
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.postgresql.migrations import migrations, require_current_schema, upgrade
from app.adapters.storage.record_checks import check_copied_record, counts_check
from app.core.errors import BackupInvalid, RuleBroken, SchemaOutdated

_PATIENCE: Final = (
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 60000"
)
_WHOLE_DAY_S: Final = 86_400.0
_TABLES: Final = (
    "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace"
    " AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
)
_REFERENCES: Final = (
    "SELECT DISTINCT own.relname, other.relname FROM pg_constraint AS k JOIN pg_class AS own ON own.oid = k.conrelid"
    " JOIN pg_class AS other ON other.oid = k.confrelid WHERE k.contype = 'f' AND own.oid <> other.oid"
    " AND own.relnamespace = current_schema()::regnamespace"
)
_SEQUENCES: Final = (
    "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1"
)
_MONTHS: Final = (
    "SELECT DISTINCT to_char(to_timestamp(at / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM') FROM verification"
    " WHERE at >= 0 ORDER BY 1"
)
_MAKE_MONTH: Final = "SELECT make_month(to_timestamp($1 || '-15', 'YYYY-MM-DD'))"
_MIGRATION: Final = "migration"
_MADE_BY_MIGRATIONS: Final = frozenset({_MIGRATION, "catalogue_version", "readiness"})
_SIDE: Final = "sequences.json"


class _Copying(Connection, Protocol):
    """The driver's connection, where rows go by COPY."""

    async def copy_from_query(self, query: str, *, output: Path, **options: object) -> str: ...

    async def copy_to_table(self, table_name: str, *, source: Path, **options: object) -> str: ...


class PostgresqlBackups:
    """``StoreBackups`` of the database at an address."""

    store = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url

    def scratch(self) -> None:
        """Return None: what is laid out is read once."""

    async def dump(self, folder: Path) -> Census:
        """Copy every table in one snapshot; see the port."""
        async with self._connection("Copying the database") as connection:
            await require_current_schema(connection)
            rows: dict[str, int] = {}
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for table in await _tables(connection):
                    said = await connection.copy_from_query(
                        f'SELECT * FROM "{table}"',  # noqa: S608 - our own tables
                        output=folder / f"{table}.csv",
                        format="csv",
                        header=True,
                        encoding="utf-8",
                        timeout=_WHOLE_DAY_S,
                    )
                    rows[table] = int(said.rpartition(" ")[2])
                months = [row[0] for row in await connection.fetch(_MONTHS)]
            # after the snapshot, so ahead of every row in it: a number left out is harmless, one given twice is not
            numbers = {row[0]: row[1] for row in await connection.fetch(_SEQUENCES)}
        with as_file_errors(folder / _SIDE):
            (folder / _SIDE).write_text(
                json.dumps({"sequences": numbers, "months": months}), encoding="utf-8"
            )
        return Census(schema=_schema(), rows=rows)

    async def require_empty(self) -> None:
        """Refuse a database in which any table of ours has a row."""
        async with self._connection("Looking at the database") as connection:
            for table in await _tables(connection):
                if table not in _MADE_BY_MIGRATIONS:
                    await _refuse_rows(connection, table)

    async def inspect(self, folder: Path, expected: Census, *, thorough: bool) -> Inspection:
        """Look at what was copied, without any server; see the port."""
        return await asyncio.to_thread(_inspect, folder, expected, thorough)

    async def restore(self, folder: Path) -> None:
        """Make the tables and fill them in one transaction; see the port."""
        await upgrade(self._url)
        side = json.loads((folder / _SIDE).read_text(encoding="utf-8"))
        async with self._connection("Restoring the database") as connection, connection.transaction():
            tables = [table for table in await _in_order(connection) if table != _MIGRATION]
            names = ", ".join(f'"{table}"' for table in tables)
            await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            for table in tables:
                if table not in _MADE_BY_MIGRATIONS:
                    await _refuse_rows(connection, table)
            await connection.execute(f"TRUNCATE {names}")
            for month in side["months"]:
                await connection.execute(_MAKE_MONTH, month)
            for table in tables:
                await _fill(connection, table, folder / f"{table}.csv")
            for name, number in side["sequences"].items():
                if number is not None:
                    await connection.execute("SELECT setval($1::text::regclass, $2)", name, number)

    @asynccontextmanager
    async def _connection(self, what: str) -> AsyncIterator[_Copying]:
        connection = await connect(self._url)
        try:
            with as_store_errors(what):
                await connection.execute(_PATIENCE)
                yield cast(_Copying, connection)
        finally:
            connection.terminate()


async def _tables(connection: Connection) -> list[str]:
    return [row[0] for row in await connection.fetch(_TABLES)]


async def _in_order(connection: Connection) -> list[str]:
    """Return the tables, those that others refer to first."""
    order: TopologicalSorter[str] = TopologicalSorter()
    for table in await _tables(connection):
        order.add(table)
    for own, other in await connection.fetch(_REFERENCES):
        order.add(own, other)
    return list(order.static_order())


async def _refuse_rows(connection: Connection, table: str) -> None:
    if await connection.fetchval(f'SELECT EXISTS (SELECT FROM "{table}")'):  # noqa: S608 - our own tables
        raise RuleBroken(
            f"The database holds something already (table {table}) and was left alone. Name an empty database in "
            "YANZHEN_DATABASE_URL, or look the backup over with --verify-only."
        )


async def _fill(connection: _Copying, table: str, path: Path) -> None:
    columns = _header(path)
    await connection.copy_to_table(
        table,
        source=path,
        columns=columns,
        format="csv",
        header=True,
        encoding="utf-8",
        timeout=_WHOLE_DAY_S,
    )


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def _schema() -> tuple[str, ...]:
    return tuple(f"{migration.number:04d} {migration.name}" for migration in migrations())


def _inspect(folder: Path, expected: Census, thorough: bool) -> Inspection:  # noqa: FBT001 - to_thread's own way
    missing = [name for name in expected.rows if not (folder / f"{name}.csv").exists()]
    if missing or not (folder / _SIDE).exists():
        raise BackupInvalid("The backup lacks tables that its manifest names. Take another backup.")
    _require_schema(folder)
    checks = [Check(name="schema", ok=True, text=f"migration {len(expected.schema):04d}")]
    if thorough:
        found = {name: sum(1 for _ in _rows(folder, name)) for name in expected.rows}
        checks.append(counts_check(Census(schema=expected.schema, rows=found), expected))
        checks.extend(
            check_copied_record(
                folder / "record.check",
                facts=((row["serial"], row["ordinal"]) for row in _rows(folder, "verification")),
                states=((row["serial"], row["count"]) for row in _rows(folder, "label_history")),
            )
        )
    keys = {row["name"]: row["value"] for row in _rows(folder, "key_check")}
    return Inspection(checks=tuple(checks), key_checks=keys)


def _require_schema(folder: Path) -> None:
    applied = {int(row["number"]): row["sha256"] for row in _rows(folder, _MIGRATION)}
    if applied != {migration.number: migration.sha256 for migration in migrations()}:
        raise SchemaOutdated(
            "The backup is of another release's schema. Restore it with that release, then upgrade."
        )


def _rows(folder: Path, table: str) -> Iterator[dict[str, str]]:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
