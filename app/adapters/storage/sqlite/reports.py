"""Reports of callers on SQLite. What somebody wrote stands only sealed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from app.adapters.storage.report_rows import REPORT_COLUMNS, earliest, report_of
from app.adapters.storage.rows import to_micros, verdict_from_bytes
from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.shared_commits import SharedCommits
from app.core.model.caller import Caller
from app.core.model.verdict import VerificationId
from app.core.ports.reports import Report
from app.core.ports.sealing import Sealing

_KEEP: Final = (
    "INSERT INTO report (at, channel, account, message_key, verification, recording, sealed, token)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (message_key, recording) DO UPDATE SET sealed = excluded.sealed"
    " WHERE excluded.sealed IS NOT NULL"
)
_NEWEST: Final = (
    f"SELECT {REPORT_COLUMNS} FROM report r WHERE r.at >= ? ORDER BY r.at DESC, r.id DESC LIMIT ?"  # noqa: S608 - constants
)
_VERIFIED: Final = "SELECT id FROM verification WHERE id = ?"


class SqliteReports:
    """``Reports`` (contract in the port)."""

    def __init__(self, commits: SharedCommits, reader: Reader, sealing: Sealing) -> None:
        self._commits = commits
        self._reader = reader
        self._sealing = sealing

    async def keep(
        self,
        *,
        channel: str,
        account: str,
        message_key: bytes,
        recording: str = "",
        words: str = "",
        verification_id: VerificationId | None = None,
        reporter: Caller | None = None,
        at: datetime,
    ) -> None:
        """Keep a report; see the port."""
        sealed = self._sealing.seal(words.encode(), about=message_key) if words else None
        token = None if reporter is None else reporter.token

        def work(db: sqlite3.Connection) -> None:
            about = _recorded(db, message_key, verification_id)
            db.execute(_KEEP, (to_micros(at), channel, account, message_key, about, recording, sealed, token))

        await self._commits.run(work)

    async def newest(self, *, since: datetime | None = None, limit: int = 100) -> Sequence[Report]:
        """Return the newest reports; see the port."""
        rows = await self._reader.rows("Reading reports", _NEWEST, (earliest(since), limit))
        return [report_of(row, self._sealing) for row in rows]


def _recorded(
    db: sqlite3.Connection, message_key: bytes, verification_id: VerificationId | None
) -> VerificationId | None:
    """Return the recorded verification that a report is about, or None."""
    if verification_id is not None:
        row = db.execute(_VERIFIED, (verification_id,)).fetchone()
        return VerificationId(row[0]) if row else None
    row = db.execute("SELECT verdict FROM message WHERE key = ?", (message_key,)).fetchone()
    return verdict_from_bytes(row[0]).verification_id if row else None
