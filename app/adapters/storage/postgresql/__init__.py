"""The store for many machines: PostgreSQL, with every acknowledged commit durable.

Any number of processes record at once; what they must agree on is decided inside the database.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.adapters.storage.postgresql.call_records import PostgresqlCallRecords
from app.adapters.storage.postgresql.catalogues import PostgresqlCatalogues
from app.adapters.storage.postgresql.connections import Connections, find_primary
from app.adapters.storage.postgresql.correspondence import PostgresqlCorrespondence
from app.adapters.storage.postgresql.leadership import PostgresqlLeadership
from app.adapters.storage.postgresql.migrations import (
    downgrade as downgrade_postgresql,
)
from app.adapters.storage.postgresql.migrations import require_current_schema
from app.adapters.storage.postgresql.migrations import upgrade as upgrade_postgresql
from app.adapters.storage.postgresql.outbox import PostgresqlOutbox
from app.adapters.storage.postgresql.recall_watches import PostgresqlRecallWatches
from app.adapters.storage.postgresql.recorder import Recorder
from app.adapters.storage.postgresql.registry import PostgresqlRegistry
from app.adapters.storage.postgresql.reports import PostgresqlReports
from app.adapters.storage.postgresql.retention import erase
from app.adapters.storage.postgresql.shards import spread as spread_postgresql
from app.adapters.storage.postgresql.spending import PostgresqlSpending
from app.adapters.storage.postgresql.succession import Succession
from app.adapters.storage.postgresql.verifications import PostgresqlVerifications
from app.core.ports.clock import Clock
from app.core.ports.sealing import Sealing

__all__ = [
    "PostgresqlStorage",
    "downgrade_postgresql",
    "open_postgresql",
    "spread_postgresql",
    "upgrade_postgresql",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlStorage:
    """The parts of an open store; :meth:`close` ends all of them, the record last."""

    verifications: PostgresqlVerifications
    catalogues: PostgresqlCatalogues
    registry: PostgresqlRegistry
    correspondence: PostgresqlCorrespondence
    spending: PostgresqlSpending
    calls: PostgresqlCallRecords
    _recorder: Recorder
    _connections: Connections
    _succession: Succession

    def editions(self) -> PostgresqlCatalogues:
        """Return the catalogue as processes share it."""
        return self.catalogues

    def outbox(self, sealing: Sealing) -> PostgresqlOutbox:
        """Return the outbox; it needs the key file, which the other parts do without."""
        return PostgresqlOutbox(self._connections, sealing)

    def reports(self, sealing: Sealing) -> PostgresqlReports:
        """Return what callers report; what they write is sealed under the key file."""
        return PostgresqlReports(self._connections, sealing)

    def recall_watches(self, sealing: Sealing) -> PostgresqlRecallWatches:
        """Return who wants to be told of recalls; where to is sealed under the key file."""
        return PostgresqlRecallWatches(self._connections, sealing, batches=self.registry.batches)

    def leadership(self, clock: Clock) -> PostgresqlLeadership:
        """Return who of all processes on this database leads; close it before the store."""
        return PostgresqlLeadership(self._succession, clock)

    async def erase(self, token: bytes) -> int:
        """Delete what is kept under a caller's token, in one commit; return how many rows went.

        Facts stay: their reference then maps to nobody. Raises ``StoreUnavailable``.
        """
        return await self._connections.run("Erasing", lambda connection: erase(connection, token))

    async def close(self) -> None:
        """Finish what was asked, and close."""
        await self._connections.close()
        await self._recorder.close()


async def open_postgresql(url: str) -> PostgresqlStorage:
    """Open a database by its address: ``postgresql://user:pass@host:port/db``, ``postgresql:///db?host=/socket/dir``.

    Of several servers, ``host:port,host:port``, the one that takes commits is used, now and after it was lost.

    Raises ``StoreUnavailable`` without a primary server, ``SchemaOutdated`` for another schema and ``SettingsInvalid``
    for an address that is none or a server that would lose acknowledged commits.
    """
    connection, server = await find_primary(url)
    succession = Succession(url, server, find_primary)
    try:
        await require_current_schema(connection)
        connections = await Connections.open(url, succession)
    except BaseException:
        connection.terminate()
        raise
    recorder, registry = Recorder(succession, connection), PostgresqlRegistry(connections)
    return PostgresqlStorage(
        verifications=PostgresqlVerifications(recorder, connections),
        catalogues=PostgresqlCatalogues(connections),
        registry=registry,
        correspondence=PostgresqlCorrespondence(connections),
        spending=PostgresqlSpending(connections),
        calls=PostgresqlCallRecords(connections),
        _recorder=recorder,
        _connections=connections,
        _succession=succession,
    )
