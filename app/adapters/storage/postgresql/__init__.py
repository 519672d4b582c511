"""The store for many machines: PostgreSQL, with every acknowledged commit durable.

Any number of processes record at once; what they must agree on is decided inside the database.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.adapters.storage.postgresql.catalogues import PostgresqlCatalogues
from app.adapters.storage.postgresql.connections import Connections, connect
from app.adapters.storage.postgresql.migrations import (
    downgrade as downgrade_postgresql,
)
from app.adapters.storage.postgresql.migrations import require_current_schema
from app.adapters.storage.postgresql.migrations import upgrade as upgrade_postgresql
from app.adapters.storage.postgresql.recorder import Recorder
from app.adapters.storage.postgresql.registry import PostgresqlRegistry
from app.adapters.storage.postgresql.retention import erase
from app.adapters.storage.postgresql.shards import spread as spread_postgresql
from app.adapters.storage.postgresql.verifications import PostgresqlVerifications

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
    _recorder: Recorder
    _connections: Connections

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

    Raises ``StoreUnavailable`` without a primary server, ``SchemaOutdated`` for another schema and ``SettingsInvalid``
    for an address that is none or a server that would lose acknowledged commits.
    """
    probe = await connect(url)
    try:
        await require_current_schema(probe)
    finally:
        probe.terminate()
    connections, recorder = await Connections.open(url), Recorder(url)
    return PostgresqlStorage(
        verifications=PostgresqlVerifications(recorder, connections),
        catalogues=PostgresqlCatalogues(connections),
        registry=PostgresqlRegistry(connections),
        _recorder=recorder,
        _connections=connections,
    )
