"""The writer thread: one connection, one job at a time, one wake-up of the event loop a job.

When nothing is asked for a second it folds what is in memory, so that an idle service is quick to start again.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from app.adapters.storage.sqlite.database import BUSY_TIMEOUT_S, as_store_errors, open_connection
from app.adapters.storage.sqlite.histories import FoldLimits, Histories
from app.core.errors import CatalogueChanged, StoreUnavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection, Histories], T]

IDLE_S: Final = 1.0
WAL_CAP_BYTES: Final = 128 * 1024 * 1024
_WAL_LOOKS_EVERY: Final = 128  # commits
_CLOSE_WITHIN_S: Final = 10.0


class Writer:
    """Runs work against the record, each in its own ``BEGIN IMMEDIATE`` transaction, in the order of arrival."""

    def __init__(self, path: Path, fold: FoldLimits | None = None) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._connection = open_connection(path)
        for pragma in ("PRAGMA wal_autocheckpoint=0", "PRAGMA busy_timeout=0"):  # see _begin
            self._connection.execute(pragma).fetchall()
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32766)
        self._histories = Histories(self._connection, fold)
        self._jobs: SimpleQueue[tuple[Work[Any], bool, asyncio.Future[Any]] | None] = SimpleQueue()
        self._commits = 0
        self._closed = False
        self._pause = threading.Event()  # never set: a wait with a deadline
        self._thread = threading.Thread(target=self._run, name="yanzhen-writer", daemon=True)
        self._start()

    def submit(self, work: Work[T], *, keep: bool = True) -> asyncio.Future[T]:
        """Queue ``work`` and return the future of its result, set after the commit (without ``keep``, the roll-back).

        Cancelling the future does not stop the work. Errors of the store arrive as ``StoreUnavailable``.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("The store is closed. Start the service again."))
        else:
            self._jobs.put((work, keep, future))
        return future

    async def close(self) -> None:
        """Finish the queue, fold, and close the file; waits at most ten seconds."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_WITHIN_S)

    # -- the thread ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_S) if self._histories.unfolded else self._jobs.get()
            except Empty:
                self._fold_idle()
                continue
            if job is None:
                break
            work, keep, future = job
            result, error = None, None
            try:
                result = self._transact(work, keep=keep)
            except BaseException as raised:  # noqa: BLE001 - handed to whoever asked
                error = raised
            loop = future.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future, result, error)
        while self._histories.unfolded and self._fold_idle():
            pass
        self._connection.close()

    def _transact(self, work: Work[T], *, keep: bool) -> T:
        connection = self._connection
        with as_store_errors("Recording"):
            self._begin()
            try:
                result = work(connection, self._histories)
                connection.execute("COMMIT" if keep else "ROLLBACK")
            except CatalogueChanged:  # raised before anything was touched: what is in memory still holds
                connection.execute("ROLLBACK")
                raise
            except BaseException:
                self._histories.reset()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        if not keep:
            self._histories.reset()
        self._commits += 1
        if self._commits % _WAL_LOOKS_EVERY == 0:
            self._cap_wal()
        return result

    def _begin(self) -> None:
        """Open the transaction; while another process writes, ask again soon: fairer than SQLite's own wait."""
        give_up_at = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up_at:
                    raise
                self._pause.wait(random.uniform(0.0002, 0.002))  # noqa: S311 - a pause, not a secret
            else:
                return

    def _fold_idle(self) -> bool:
        """Fold one slice; True if that worked. Failing here loses nothing: the facts are recorded.

        Whatever fails, the thread lives on, or every later query would wait for nobody.
        """
        try:
            labels = 8 * self._histories.limits.slice
            self._transact(lambda _connection, histories: histories.fold(labels), keep=True)
        except Exception:  # noqa: BLE001 - the overlay was reset, and the next job meets and reports what is wrong
            return False
        return True

    def _cap_wal(self) -> None:
        """Past the cap, copy the whole log back and start it anew: the background passes did not keep up."""
        try:
            if os.stat(self._wal).st_size > WAL_CAP_BYTES:  # noqa: PTH116 - the cheap form
                self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        except (OSError, sqlite3.Error):
            return


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
