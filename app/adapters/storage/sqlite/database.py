"""Opening the SQLite file: pragmas, numbered migrations with checksums, and errors in our own words."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from app.core.errors import SchemaOutdated, StoreUnavailable

BUSY_TIMEOUT_S: Final = 5.0
PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",  # what is erased is overwritten, whatever the library was built with
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-65536",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered change of the schema; ``sha256`` is kept in the database so that a changed file is noticed."""

    number: int
    name: str
    sql: str
    sha256: str


def migrations() -> tuple[Migration, ...]:
    """Return every migration that ships with this program, in order."""
    found = []
    for entry in resources.files(__package__).joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            sql = entry.read_text(encoding="utf-8")
            digest = hashlib.sha256(sql.encode()).hexdigest()
            found.append(Migration(number=int(entry.name[:4]), name=entry.name[5:-4], sql=sql, sha256=digest))
    return tuple(sorted(found, key=lambda migration: migration.number))


@contextmanager
def as_store_errors(what: str) -> Iterator[None]:
    """Turn SQLite's errors into ``StoreUnavailable`` with what was being done and what to do."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: aiosqlite, of a closed connection
        raise StoreUnavailable(
            f"{what} failed: {error}. Check disk space and permissions of the data directory."
        ) from error


def open_connection(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the file with the service's pragmas; autocommit mode, to be used by one thread at a time.

    Raises ``StoreUnavailable`` where the file is missing (unless ``create``) or not a database.
    """
    mode = "rwc" if create else "rw"
    with as_store_errors(f"Opening the database {path}"):
        if create and not path.exists():  # SQLite gives its log and shared memory the file's own permissions
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_TIMEOUT_S,
            cached_statements=256,
        )
        try:
            for pragma in PRAGMAS:
                connection.execute(pragma).fetchall()
        except BaseException:
            connection.close()
            raise
    return connection


def sync_folder(folder: Path) -> None:
    """Make the names of the files in a folder durable. Raises ``StoreUnavailable``."""
    with as_store_errors(f"Syncing the folder {folder}"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def upgrade(path: Path) -> tuple[str, ...]:
    """Apply every pending migration, each in one transaction; creates the file. Returns the names applied."""
    connection = open_connection(path, create=True)
    try:
        with as_store_errors("Upgrading the database"):
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migration"
                " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT"
            )
            applied: list[str] = []
            while True:
                connection.execute("BEGIN IMMEDIATE")  # so that two upgrades at once do not both apply one
                waiting = _pending(connection)
                if not waiting:
                    connection.execute("ROLLBACK")
                    return tuple(applied)
                first = waiting[0]
                for statement in _statements(first.sql):
                    connection.execute(statement)
                row = (first.number, first.name, first.sha256)
                connection.execute("INSERT INTO migration VALUES (?, ?, ?)", row)
                connection.execute("COMMIT")
                applied.append(f"{first.number:04d} {first.name}")
    finally:
        connection.close()


def require_current_schema(connection: sqlite3.Connection) -> None:
    """Raise ``SchemaOutdated`` unless exactly this program's migrations are applied."""
    with as_store_errors("Reading the schema version"):
        has_table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration'").fetchone()
        waiting = _pending(connection) if has_table else migrations()
    if waiting:
        names = ", ".join(f"{migration.number:04d}" for migration in waiting)
        raise SchemaOutdated(
            f"The database lacks the migrations {names}. Run `yanzhen db upgrade`, then start again."
        )


def _pending(connection: sqlite3.Connection) -> tuple[Migration, ...]:
    applied = dict(connection.execute("SELECT number, sha256 FROM migration"))
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


def _statements(sql: str) -> Iterator[str]:
    """Split a migration into statements, so that each runs inside the surrounding transaction."""
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
