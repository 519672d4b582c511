"""Records of calls on SQLite."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from app.adapters.storage.rows import to_micros
from app.adapters.storage.sqlite.shared_commits import SharedCommits
from app.core.model.call import CallEnd

_OPEN: Final = "INSERT INTO call (key, account, started_at) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"
_CLOSE: Final = (
    "INSERT INTO call (key, account, started_at, ended_at, how, seconds) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET ended_at = excluded.ended_at, how = excluded.how,"
    " seconds = coalesce(excluded.seconds, max(0, (excluded.ended_at - started_at) / 1000000))"
    " WHERE ended_at IS NULL OR (how = 'transferred' AND ended_at < excluded.ended_at)"
)
_MICROS: Final = 1_000_000


class SqliteCallRecords:
    """``CallRecords`` (contract in the port)."""

    def __init__(self, commits: SharedCommits) -> None:
        self._commits = commits

    async def open(self, *, key: bytes, account: str, at: datetime) -> None:
        """Note that a call began; see the port."""
        row = (key, account, to_micros(at))
        await self._commits.run(lambda db: db.execute(_OPEN, row).rowcount)

    async def close(
        self, *, key: bytes, account: str, how: CallEnd, at: datetime, seconds: int | None = None
    ) -> None:
        """Note that a call ended; see the port."""
        ended_at = to_micros(at)
        row = (key, account, ended_at - (seconds or 0) * _MICROS, ended_at, how.value, seconds)
        await self._commits.run(lambda db: db.execute(_CLOSE, row).rowcount)
