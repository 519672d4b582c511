"""What is kept of those who write to us, on SQLite: under the keyed token alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from app.adapters.storage.retention import PLACE_KEPT
from app.adapters.storage.rows import to_micros
from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.shared_commits import SharedCommits
from app.core.model.caller import Caller
from app.core.ports.correspondence import Change, Correspondent, NoticeKind

_NOBODY: Final = Correspondent()
_FIND = "SELECT locale, opted_out, place, place_at FROM correspondent WHERE token = ?"
_OBEYED = "SELECT 1 FROM obeyed WHERE key IN (?, ?)"
_OBEY = "INSERT INTO obeyed (key, at) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
_CHANGE = (
    "INSERT INTO correspondent (token, key_id, locale, opted_out, place, place_at, at)"
    " VALUES (:token, :key_id, coalesce(:locale, ''), coalesce(:opted_out, 0), coalesce(:place, ''), :at, :at)"
    " ON CONFLICT (token) DO UPDATE SET key_id = excluded.key_id, locale = coalesce(:locale, locale),"
    " opted_out = coalesce(:opted_out, opted_out), place = coalesce(:place, place),"
    " place_at = iif(:place IS NULL, place_at, :at), at = excluded.at"
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

    async def find(self, caller: Caller, *, now: datetime) -> Correspondent:
        """Return what a caller chose; see the port."""
        if caller.token is None:
            return _NOBODY
        rows = await self._reader.rows("Looking a correspondent up", _FIND, (caller.token,))
        return _correspondent(rows[0] if rows else None, now)

    async def change(
        self,
        caller: Caller,
        change: Change,
        *,
        message_key: bytes,
        alias_key: bytes | None = None,
        now: datetime,
    ) -> Correspondent:
        """Change what a caller chose, once a message; see the port."""
        if caller.token is None:
            return Correspondent(
                locale=change.locale or "", opted_out=bool(change.opted_out), place=change.place or ""
            )
        at = to_micros(now)
        row = {
            "token": caller.token,
            "key_id": caller.key_id,
            "locale": change.locale,
            "opted_out": change.opted_out,
            "place": change.place,
            "at": at,
        }

        def obey(db: sqlite3.Connection) -> Correspondent:
            if db.execute(_OBEYED, (message_key, alias_key)).fetchone() is None:
                db.execute(_CHANGE, row)
            for key in (message_key, alias_key):
                if key is not None:
                    db.execute(_OBEY, (key, at))
            return _correspondent(db.execute(_FIND, (row["token"],)).fetchone(), now)

        return await self._commits.run(obey)

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


def _correspondent(row: Sequence[Any] | None, now: datetime) -> Correspondent:
    if row is None:
        return _NOBODY
    locale, opted_out, place, place_at = row
    fresh = to_micros(now - PLACE_KEPT) < place_at
    return Correspondent(locale=locale, opted_out=bool(opted_out), place=place if fresh else "")
