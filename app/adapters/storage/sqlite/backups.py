"""Backups of the SQLite file: a copy by SQLite's own backup in one step, so of one moment, beside a service."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from app.adapters.storage.backups import (
    Census,
    Check,
    Inspection,
    as_file_errors,
    publish,
)
from app.adapters.storage.record_checks import ORDINALS, counts_check, ordinals_check, states_check
from app.adapters.storage.sqlite.database import as_store_errors, open_connection, require_current_schema
from app.core.errors import BackupInvalid, FileUnwritable, RuleBroken

_FILE: Final = "database.sqlite"
_WITH_IT: Final = ("", "-wal", "-shm", "-journal")

# Rows of state may be ahead of fold.through, but never ahead of the facts nor behind those up to it (decision 1).
_STATES: Final = (
    "SELECT serial FROM (SELECT serial, max(ordinal) AS most, max(CASE WHEN id <= through THEN ordinal ELSE 0 END)"
    " AS folded FROM verification, fold WHERE ordinal IS NOT NULL GROUP BY serial)"
    " LEFT JOIN label_history USING (serial) WHERE coalesce(count, 0) NOT BETWEEN folded AND most"
    " UNION SELECT serial FROM label_history WHERE serial NOT IN"
    " (SELECT serial FROM verification WHERE ordinal IS NOT NULL) LIMIT 5"
)


class SqliteBackups:
    """``StoreBackups`` of one database file."""

    store = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path

    def scratch(self) -> Path:
        """Return the database's own folder, so that a restored file only needs its name."""
        return self._path.parent

    async def dump(self, folder: Path) -> Census:
        """Copy the present state; see the port."""
        return await asyncio.to_thread(self._dump, folder / _FILE)

    async def require_empty(self) -> None:
        """Refuse where the file, or what SQLite keeps beside it, is there: a left log would be played into the copy."""
        for end in _WITH_IT:
            beside = self._path.with_name(self._path.name + end)
            if beside.exists():
                raise RuleBroken(
                    f"There is {beside} already and it was left alone. Stop the service and move it away with what "
                    "else begins with its name, or look the backup over with --verify-only."
                )

    async def inspect(self, folder: Path, expected: Census, *, thorough: bool) -> Inspection:
        """Look at a copy; see the port."""
        return await asyncio.to_thread(_inspect, folder / _FILE, expected, thorough)

    async def restore(self, folder: Path) -> None:
        """Give the copy the database's name; see the port."""
        await self.require_empty()
        publish(folder / _FILE, self._path)

    def _dump(self, copy: Path) -> Census:
        with as_file_errors(copy):
            os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with closing(open_connection(self._path)) as source:
            require_current_schema(source)
            with as_store_errors("Copying the database"), closing(sqlite3.connect(copy)) as target:
                # in one step: after a step, a commit of the service would make the copy begin anew, for ever
                source.backup(target, pages=-1)
                target.execute("PRAGMA journal_mode=DELETE").fetchall()  # a file that stands alone
        with _opened(copy) as copied:
            problems = [row[0] for row in copied.execute("PRAGMA quick_check(1)") if row[0] != "ok"]
            if problems:
                raise BackupInvalid(
                    f"The database's copy is not sound ({problems[0]}), so no backup was made. Run `yanzhen doctor`."
                )
            return _census(copied)


def _inspect(copy: Path, expected: Census, thorough: bool) -> Inspection:  # noqa: FBT001 - to_thread's own way
    if not copy.exists():
        raise BackupInvalid(f"The backup holds no {_FILE}. Take another backup.")
    with _opened(copy) as connection:
        require_current_schema(connection)
        checks = [Check(name="schema", ok=True, text=f"migration {len(expected.schema):04d}")]
        checks.append(_soundness(connection, thorough=thorough))
        if checks[-1].ok and thorough:
            checks.append(counts_check(_census(connection), expected))
            checks.append(ordinals_check(connection.execute(ORDINALS).fetchall()))
            checks.append(states_check(connection.execute(_STATES).fetchall()))
        keys = dict(connection.execute("SELECT name, value FROM key_check"))
    return Inspection(checks=tuple(checks), key_checks=keys)


def _soundness(connection: sqlite3.Connection, *, thorough: bool) -> Check:
    name = "integrity_check" if thorough else "quick_check"
    problems = [row[0] for row in connection.execute(f"PRAGMA {name}(5)") if row[0] != "ok"]
    if thorough:
        problems += [
            f"a row of {row[0]} refers to nothing" for row in connection.execute("PRAGMA foreign_key_check")
        ][:5]
    return Check(name="soundness", ok=not problems, text="; ".join(problems) or f"{name} passed")


def _census(connection: sqlite3.Connection) -> Census:
    """Count the rows of every table."""
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    tables = [row[0] for row in connection.execute(names)]
    schema = connection.execute("SELECT number, name FROM migration ORDER BY number")
    return Census(
        schema=tuple(f"{number:04d} {name}" for number, name in schema),
        rows={name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables},  # noqa: S608
    )


@contextmanager
def _opened(copy: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy that nobody writes to. What is no sound database raises ``BackupInvalid``."""
    try:
        with closing(
            sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as connection:
            yield connection
    except sqlite3.DatabaseError as error:
        if "full" in str(error) or "disk I/O" in str(error):
            raise FileUnwritable(f"Reading {copy} failed: {error}. Check the free space.") from error
        raise BackupInvalid(
            f"The database in the backup cannot be read: {error}. Take another backup."
        ) from error
