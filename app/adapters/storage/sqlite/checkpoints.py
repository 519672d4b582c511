"""Checkpoints in a thread of their own, so that copying the log back never stands in a shopper's way.

PASSIVE passes wait for nobody and block nobody; the writer caps the log where they do not keep up.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

from app.adapters.storage.sqlite.database import open_connection
from app.core.errors import StoreUnavailable

_EVERY_S: Final = 0.5
_AT_BYTES: Final = 8 * 1024 * 1024


class Checkpointer:
    """Runs a PASSIVE checkpoint whenever the write-ahead log holds more than 8 MiB; stops with :meth:`close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._connection = open_connection(path)
        self._seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="yanzhen-checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop and close; the last connection to close copies the rest of the log back."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def empty_log(self) -> bool:
        """Copy the whole log back and cut it to nothing, so that what was overwritten in the file is not left there.

        False where others were at work for too long; a later checkpoint then does it.
        """
        try:
            with closing(open_connection(self._path)) as connection:
                busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except (sqlite3.Error, StoreUnavailable):
            return False
        return not busy

    def look(self) -> None:
        """Copy back what it can of a long log, if anything was committed since it last did; one pass of the thread."""
        try:
            if self._wal.stat().st_size < _AT_BYTES:
                return
            changes = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if changes != self._seen:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._seen = changes
        except (OSError, sqlite3.Error):
            return  # the writer meets the same trouble and reports it

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.look()
