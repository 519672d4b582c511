"""The embedded store: one SQLite file in WAL mode with ``synchronous=FULL``.

One process serves on it; the command line may issue, void, recall and verify on it meanwhile.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiosqlite

from app.adapters.storage.sqlite.call_records import SqliteCallRecords
from app.adapters.storage.sqlite.catalogues import SqliteCatalogues
from app.adapters.storage.sqlite.checkpoints import Checkpointer
from app.adapters.storage.sqlite.correspondence import SqliteCorrespondence
from app.adapters.storage.sqlite.database import open_connection, require_current_schema, sync_folder
from app.adapters.storage.sqlite.database import upgrade as upgrade_sqlite
from app.adapters.storage.sqlite.histories import FoldLimits
from app.adapters.storage.sqlite.outbox import SqliteOutbox
from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.recall_watches import SqliteRecallWatches
from app.adapters.storage.sqlite.registry import SqliteRegistry
from app.adapters.storage.sqlite.reports import SqliteReports
from app.adapters.storage.sqlite.retention import erase
from app.adapters.storage.sqlite.shared_commits import SharedCommits
from app.adapters.storage.sqlite.spending import SqliteSpending
from app.adapters.storage.sqlite.verifications import SqliteVerifications
from app.adapters.storage.sqlite.writer import Writer
from app.core.ports.clock import Clock
from app.core.ports.sealing import Sealing

__all__ = ["FoldLimits", "SqliteStorage", "open_sqlite", "upgrade_sqlite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteStorage:
    """The parts of an open store; :meth:`close` ends all of them, the record last."""

    verifications: SqliteVerifications
    catalogues: SqliteCatalogues
    registry: SqliteRegistry
    correspondence: SqliteCorrespondence
    spending: SqliteSpending
    calls: SqliteCallRecords
    _writer: Writer
    _commits: SharedCommits
    _reader: Reader
    _checkpointer: Checkpointer
    _connections: tuple[aiosqlite.Connection, ...]

    def editions(self) -> None:
        """Return nothing: one process serves on a file, and shares no catalogue."""

    def outbox(self, sealing: Sealing) -> SqliteOutbox:
        """Return the outbox; it needs the key file, which the other parts do without."""
        return SqliteOutbox(self._commits, self._reader, sealing)

    def reports(self, sealing: Sealing) -> SqliteReports:
        """Return what callers report; what they write is sealed under the key file."""
        return SqliteReports(self._commits, self._reader, sealing)

    def recall_watches(self, sealing: Sealing) -> SqliteRecallWatches:
        """Return who wants to be told of recalls; where to is sealed under the key file."""
        return SqliteRecallWatches(self._commits, self._reader, sealing, batches=self.registry.batches)

    def leadership(self, _clock: Clock) -> None:
        """Return nothing: one process serves on a file, and leads."""

    async def erase(self, token: bytes) -> int:
        """Delete what is kept under a caller's token, in one commit; return how many rows went.

        Facts stay: their reference then maps to nobody. Raises ``StoreUnavailable``.
        """
        gone = await self._commits.run(lambda db: erase(db, token))
        await asyncio.to_thread(self._checkpointer.empty_log)
        return gone

    async def close(self) -> None:
        """Finish what was asked, fold, and close the file."""
        await self._commits.close()
        for connection in self._connections:
            await connection.close()
        await self._writer.close()
        await asyncio.to_thread(self._checkpointer.close)


async def open_sqlite(path: Path, *, fold: FoldLimits | None = None) -> SqliteStorage:
    """Open an existing database; ``fold`` says when label state is folded (docs/decisions/0001).

    Raises ``StoreUnavailable`` without a file and ``SchemaOutdated`` for another schema.
    """
    probe = open_connection(path)
    try:
        require_current_schema(probe)
    finally:
        probe.close()
    async with AsyncExitStack() as opened:  # what is open is closed where the rest cannot be
        connections = []
        for _ in range(3):
            connection = await aiosqlite.Connection(lambda: open_connection(path), 64)
            opened.push_async_callback(connection.close)
            connections.append(connection)
        checkpointer = Checkpointer(path)
        opened.callback(checkpointer.close)
        # The log is there now. SQLite syncs its name too, but goes on where that fails, and what is in a file without
        # a name is lost with the power.
        sync_folder(path.parent)
        writer = Writer(path, fold)
        opened.pop_all()
    reads, writes, asks = connections
    reader, commits = Reader(asks), SharedCommits(writer)
    return SqliteStorage(
        verifications=SqliteVerifications(writer, reader),
        catalogues=SqliteCatalogues(reads),
        registry=SqliteRegistry(writes),
        correspondence=SqliteCorrespondence(commits, reader),
        spending=SqliteSpending(commits, reader),
        calls=SqliteCallRecords(commits),
        _writer=writer,
        _commits=commits,
        _reader=reader,
        _checkpointer=checkpointer,
        _connections=(reads, writes, asks),
    )
