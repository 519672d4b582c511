"""The schema: numbered migrations with checksums, forth and back, each in one transaction; and its month partitions."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Final

from app.adapters.storage.postgresql.connections import as_store_errors, connect
from app.adapters.storage.postgresql.driver import Connection
from app.core.errors import SchemaOutdated

_MONTHS_AHEAD: Final = 3
# for as long as a table with all its rows takes to be rewritten; the waits for locks stay short
_PATIENCE: Final = (
    "SET statement_timeout = 0; SET lock_timeout = 10000; SET idle_in_transaction_session_timeout = 0"
)
_LOCK: Final = "SELECT pg_advisory_lock(7956010260004)"
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS migration"
    " (number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL)"
)
_MAKE_MONTH: Final = "SELECT make_month($1::timestamptz + make_interval(months => $2::integer))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered change; ``sha256`` of the way up is kept in the database so that a changed file is noticed."""

    number: int
    name: str
    up: str
    down: str
    sha256: str


def migrations() -> tuple[Migration, ...]:
    """Return every migration that ships with this program, in order."""
    folder = resources.files(__package__).joinpath("migrations")
    found = []
    for entry in folder.iterdir():
        if entry.name.endswith(".up.sql"):
            name = entry.name.removesuffix(".up.sql")
            up = entry.read_text(encoding="utf-8")
            found.append(
                Migration(
                    number=int(name[:4]),
                    name=name[5:],
                    up=up,
                    down=folder.joinpath(f"{name}.down.sql").read_text(encoding="utf-8"),
                    sha256=hashlib.sha256(up.encode()).hexdigest(),
                )
            )
    return tuple(sorted(found, key=lambda migration: migration.number))


async def upgrade(url: str, *, to: int | None = None) -> tuple[str, ...]:
    """Apply pending migrations, up to number ``to`` where given, and make the months ahead.

    Returns the names applied. Raises ``StoreUnavailable``, or ``SchemaOutdated`` for a database of a newer program.
    """
    applied: list[str] = []
    async with alone(url) as connection:
        for migration in await _pending(connection):
            if to is not None and migration.number > to:
                break
            async with connection.transaction():
                await connection.execute(migration.up, timeout=3600)
                row = (migration.number, migration.name, migration.sha256)
                await connection.execute("INSERT INTO migration VALUES ($1, $2, $3)", *row)
            applied.append(f"{migration.number:04d} {migration.name}")
        if await connection.fetchval("SELECT EXISTS (SELECT FROM migration)"):
            await make_months(connection, await connection.fetchval("SELECT now()"))
    return tuple(applied)


async def downgrade(url: str, *, to: int) -> tuple[str, ...]:
    """Take back every migration above number ``to``, the newest first; what only they keep is dropped.

    Returns the names taken back. Raises as :func:`upgrade`.
    """
    undone: list[str] = []
    async with alone(url) as connection:
        waiting = {migration.number for migration in await _pending(connection)}
        for migration in reversed(migrations()):
            if migration.number <= to or migration.number in waiting:
                continue
            async with connection.transaction():
                await connection.execute(migration.down, timeout=3600)
                await connection.execute("DELETE FROM migration WHERE number = $1", migration.number)
            undone.append(f"{migration.number:04d} {migration.name}")
    return tuple(undone)


async def make_months(connection: Connection, now: datetime) -> int:
    """Make the partitions of the present month and the next three; return how many were missing."""
    made = 0
    for ahead in range(_MONTHS_AHEAD + 1):  # a statement each: in many parts one takes its time
        made += await connection.fetchval(_MAKE_MONTH, now, ahead)
    return made


async def require_current_schema(connection: Connection) -> None:
    """Raise ``SchemaOutdated`` unless exactly this program's migrations are applied."""
    with as_store_errors("Reading the schema version"):
        has_table = await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL")
        waiting = await _pending(connection) if has_table else migrations()
    if waiting:
        names = ", ".join(f"{migration.number:04d}" for migration in waiting)
        raise SchemaOutdated(
            f"The database lacks the migrations {names}. Run `yanzhen db upgrade`, then start again."
        )


@asynccontextmanager
async def alone(url: str) -> AsyncIterator[Connection]:
    """Connect for a change of the schema; a second one waits until the first ends."""
    connection = await connect(url)
    try:
        with as_store_errors("Changing the schema"):
            await connection.execute(_PATIENCE)
            await connection.execute(_LOCK, timeout=3600)
            await connection.execute(_TABLE)
            yield connection
    finally:
        connection.terminate()


async def _pending(connection: Connection) -> tuple[Migration, ...]:
    applied = dict(await connection.fetch("SELECT number, sha256 FROM migration"))
    known = {migration.number: migration for migration in migrations()}
    for number, sha256 in applied.items():
        if number not in known:
            raise SchemaOutdated(
                f"The database has migration {number:04d} of a newer program. Install that program."
            )
        if known[number].sha256 != sha256:
            raise SchemaOutdated(
                f"Migration {number:04d} was changed after it was applied. Restore the original file."
            )
    return tuple(migration for number, migration in sorted(known.items()) if number not in applied)
