"""What is kept of those who write to us, on SQLite: under the keyed token alone."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Final

from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.rows import to_micros
from app.adapters.storage.sqlite.shared_commits import SharedCommits
from app.core.model.caller import Caller
from app.core.ports.correspondence import Correspondent, NoticeKind

_NOBODY: Final = Correspondent()
_KEEP = (
    "INSERT INTO correspondent (token, key_id, locale, opted_out, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (token)"
    " DO UPDATE SET key_id = excluded.key_id, locale = excluded.locale, opted_out = excluded.opted_out,"
    " at = excluded.at"
)
_CLAIM = (
    "INSERT INTO notice (token, kind, message, until) VALUES (?, ?, ?, ?) ON CONFLICT (token, kind)"
    " DO UPDATE SET message = excluded.message, until = excluded.until WHERE until <= ?"
)
_CLAIMED_BY = "SELECT message FROM notice WHERE token = ? AND kind = ?"


class SqliteCorrespondence:
    """``Correspondence`` (contract in the port)."""

    def __init__(self, commits: SharedCommits, reader: Reader) -> None:
        self._commits = commits
        self._reader = reader

    async def find(self, caller: Caller) -> Correspondent:
        """Return what a caller chose; see the port."""
        if caller.token is None:
            return _NOBODY
        sql = "SELECT locale, opted_out FROM correspondent WHERE token = ?"
        rows = await self._reader.rows("Looking a correspondent up", sql, (caller.token,))
        return Correspondent(locale=rows[0][0], opted_out=bool(rows[0][1])) if rows else _NOBODY

    async def keep(self, caller: Caller, correspondent: Correspondent, *, now: datetime) -> None:
        """Keep what a caller chose; see the port."""
        if caller.token is None:
            return
        row = (caller.token, caller.key_id, correspondent.locale, correspondent.opted_out, to_micros(now))
        await self._commits.run(lambda db: db.execute(_KEEP, row).rowcount)

    async def claim_notice(
        self, caller: Caller, kind: NoticeKind, *, message_key: bytes, now: datetime, until: datetime
    ) -> bool:
        """Tell whether this message gets the notice; see the port."""
        token = caller.token
        if token is None:
            return True

        def claim(db: sqlite3.Connection) -> bool:
            db.execute(_CLAIM, (token, kind.value, message_key, to_micros(until), to_micros(now)))
            claimed_by: bytes = db.execute(_CLAIMED_BY, (token, kind.value)).fetchone()[0]
            return claimed_by == message_key

        return await self._commits.run(claim)
