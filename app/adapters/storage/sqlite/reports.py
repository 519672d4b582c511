"""Reports of callers on SQLite."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Final

from app.adapters.storage.sqlite.rows import to_micros, verdict_from_bytes
from app.adapters.storage.sqlite.shared_commits import SharedCommits

_KEEP: Final = (
    "INSERT INTO report (at, channel, account, message_key, verification, recording) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (message_key, recording) DO NOTHING"
)


class SqliteReports:
    """``Reports`` (contract in the port)."""

    def __init__(self, commits: SharedCommits) -> None:
        self._commits = commits

    async def keep(
        self, *, channel: str, account: str, message_key: bytes, recording: str, at: datetime
    ) -> None:
        """Keep a report; see the port."""

        def work(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT verdict FROM message WHERE key = ?", (message_key,)).fetchone()
            about = verdict_from_bytes(row[0]).verification_id if row else None
            db.execute(_KEEP, (to_micros(at), channel, account, message_key, about, recording))

        await self._commits.run(work)
