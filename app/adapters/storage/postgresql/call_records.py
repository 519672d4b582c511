"""Records of calls on PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from app.adapters.storage.postgresql.connections import Connections
from app.adapters.storage.rows import to_micros
from app.core.model.call import CallEnd

_OPEN: Final = "INSERT INTO call (key, account, started_at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING"
_CLOSE: Final = (
    "INSERT INTO call AS c (key, account, started_at, ended_at, how, seconds) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (key) DO UPDATE SET ended_at = excluded.ended_at, how = excluded.how,"
    " seconds = coalesce(excluded.seconds, greatest(0, (excluded.ended_at - c.started_at) / 1000000))"
    " WHERE c.ended_at IS NULL OR (c.how = 'transferred' AND c.ended_at < excluded.ended_at)"
)
_MICROS: Final = 1_000_000


class PostgresqlCallRecords:
    """``CallRecords`` (contract in the port)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def open(self, *, key: bytes, account: str, at: datetime) -> None:
        """Note that a call began; see the port."""
        row = (key, account, to_micros(at))
        await self._connections.run_single(
            "Noting a call", lambda connection: connection.execute(_OPEN, *row)
        )

    async def close(
        self, *, key: bytes, account: str, how: CallEnd, at: datetime, seconds: int | None = None
    ) -> None:
        """Note that a call ended; see the port."""
        ended_at = to_micros(at)
        row = (key, account, ended_at - (seconds or 0) * _MICROS, ended_at, how.value, seconds)
        await self._connections.run_single(
            "Noting a call", lambda connection: connection.execute(_CLOSE, *row)
        )
