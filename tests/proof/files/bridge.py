"""The real storage on watched files: the part of ``sqlite3`` that the adapter and aiosqlite use, over apsw.

``with bridged(files): ...`` sends every ``sqlite3.connect`` within the folder of ``files`` through them; other paths
keep the standard library. ``after_commit`` is called in the committing thread, after each commit, with its connection,
``before_commit`` before each COMMIT. What the storage itself syncs of that folder is one of the watched calls too.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import apsw

from tests.proof.files.vfs import WatchedFiles

AtCommit = Callable[["Connection"], None]

_CHECKPOINT_AT: Final = 1000  # pages, SQLite's own default
_CHANGES: Final = frozenset({"COMMIT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"})
_ERRORS: Final[tuple[tuple[type[apsw.Error], type[sqlite3.Error]], ...]] = (
    (apsw.ConstraintError, sqlite3.IntegrityError),
    (apsw.MismatchError, sqlite3.IntegrityError),
    (apsw.TooBigError, sqlite3.DataError),
    (apsw.RangeError, sqlite3.InterfaceError),
    (apsw.MisuseError, sqlite3.InterfaceError),
    (apsw.NotADBError, sqlite3.DatabaseError),
    (apsw.CorruptError, sqlite3.DatabaseError),
    (apsw.BindingsError, sqlite3.ProgrammingError),
    (apsw.ConnectionClosedError, sqlite3.ProgrammingError),
    (apsw.CursorClosedError, sqlite3.ProgrammingError),
)


@contextmanager
def _as_sqlite3() -> Iterator[None]:
    """Turn apsw's errors into those the standard library raises for the same result of SQLite."""
    try:
        yield
    except apsw.Error as error:
        told = next((told for kind, told in _ERRORS if isinstance(error, kind)), sqlite3.OperationalError)
        raise told(str(error)) from error


class Cursor:
    """The rows of one statement, all read at once."""

    def __init__(self, connection: Connection, rows: list[Any], rowcount: int, lastrowid: int) -> None:
        self._connection = connection
        self._rows = iter(rows)
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def close(self) -> None:
        self._rows = iter(())


class Connection:
    """One connection in autocommit mode, as ``sqlite3.connect(..., isolation_level=None)`` gives."""

    def __init__(
        self,
        files: WatchedFiles,
        uri: str,
        *,
        busy_s: float,
        statements: int,
        before_commit: AtCommit | None,
        after_commit: AtCommit | None,
    ) -> None:
        flags = apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        with _as_sqlite3():
            self.apsw = apsw.Connection(uri, flags=flags, vfs=files.vfs_name, statementcachesize=statements)
            self.apsw.set_busy_timeout(round(busy_s * 1000))
            self.apsw.set_wal_hook(_checkpoint)
        self._before_commit = before_commit
        self._after_commit = after_commit
        self._open = True

    @property
    def in_transaction(self) -> bool:
        return self._open and self.apsw.in_transaction

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Cursor:
        return self._run(sql, lambda cursor: cursor.execute(sql, values or None))

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Cursor:
        return self._run(sql, lambda cursor: cursor.executemany(sql, values))

    def setlimit(self, category: int, limit: int) -> int:
        return self.apsw.limit(category, limit)

    def close(self) -> None:
        """Close; what fails in copying the log back at the end is not told, as SQLite does not tell it."""
        self._open = False
        with suppress(apsw.Error):
            self.apsw.close(force=True)

    def _run(self, sql: str, run: Callable[[apsw.Cursor], Any]) -> Cursor:
        word = sql.split(None, 1)[0].upper()
        before = self.apsw.total_changes() if self._open else 0
        if word == "COMMIT" and self._before_commit is not None:
            self._before_commit(self)
        with _as_sqlite3():
            cursor = self.apsw.cursor()
            try:
                rows = list(run(cursor))
            finally:
                cursor.close(force=True)
        changed = word in _CHANGES
        result = Cursor(
            self,
            rows,
            self.apsw.total_changes() - before if changed and word != "COMMIT" else -1,
            self.apsw.last_insert_rowid(),
        )
        if changed and self._after_commit is not None and not self.apsw.in_transaction:
            self._after_commit(self)
        return result


def _checkpoint(connection: apsw.Connection, database: str, pages: int) -> int:
    """Copy the log back as SQLite's own hook does, which tells nobody of a failure; apsw would."""
    if pages >= _CHECKPOINT_AT:
        try:
            connection.wal_checkpoint(database)
        except apsw.Error:
            return apsw.SQLITE_OK
    return apsw.SQLITE_OK


@contextmanager
def bridged(
    files: WatchedFiles, after_commit: AtCommit | None = None, before_commit: AtCommit | None = None
) -> Iterator[None]:
    """Let ``sqlite3.connect`` open what lies in the folder of ``files`` through them."""
    usual, usual_sync = sqlite3.connect, os.fsync
    folder = str(files.folder.absolute()) + "/"

    def sync(descriptor: int) -> None:
        if not os.path.samestat(os.fstat(descriptor), files.folder.stat()):
            return usual_sync(descriptor)
        try:
            return files.sync_folder()
        except apsw.Error:
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from None

    def connect(database: Any, *args: Any, **options: Any) -> Any:
        text = str(database)
        path = unquote(urlsplit(text).path) if text.startswith("file:") else text
        if not path.startswith(folder):
            return usual(database, *args, **options)
        return Connection(
            files,
            text,
            busy_s=options.get("timeout", 5.0),
            statements=options.get("cached_statements", 128),
            before_commit=before_commit,
            after_commit=after_commit,
        )

    sqlite3.connect = connect  # type: ignore[assignment]
    os.fsync = sync  # type: ignore[assignment]
    try:
        yield
    finally:
        sqlite3.connect, os.fsync = usual, usual_sync
