"""What is kept of those who write to us, on PostgreSQL: under the keyed token alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from app.adapters.storage.postgresql.connections import Connections
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.retention import PLACE_KEPT
from app.adapters.storage.rows import to_micros
from app.core.model.caller import Caller
from app.core.ports.correspondence import Change, Correspondent, NoticeKind

_NOBODY: Final = Correspondent()
_FIND: Final = "SELECT locale, opted_out, place, place_at FROM correspondent WHERE token = $1"
# The keys of a message are claimed in their order; one that another machine is claiming is waited for.
_OBEY: Final = (
    "INSERT INTO obeyed (key, at) SELECT key, $2::bigint FROM unnest($1::bytea[]) AS message (key) ORDER BY key"
    " ON CONFLICT (key) DO NOTHING"
)
_CHANGE: Final = (
    "INSERT INTO correspondent AS c (token, key_id, locale, opted_out, place, place_at, at)"
    " VALUES ($1, $2, coalesce($3, ''), coalesce($4, FALSE), coalesce($5, ''), $6, $6)"
    " ON CONFLICT (token) DO UPDATE SET key_id = excluded.key_id, locale = coalesce($3, c.locale),"
    " opted_out = coalesce($4, c.opted_out), place = coalesce($5, c.place),"
    " place_at = CASE WHEN $5::text IS NULL THEN c.place_at ELSE excluded.at END, at = excluded.at"
)
# The row is written again with what stands in it where the claim is lost, so that it is locked and returned.
_CLAIM: Final = (
    "INSERT INTO notice AS n (token, kind, message, until) VALUES ($1, $2, $3, $4) ON CONFLICT (token, kind)"
    " DO UPDATE SET message = CASE WHEN n.until <= $5 THEN excluded.message ELSE n.message END,"
    " until = CASE WHEN n.until <= $5 THEN excluded.until ELSE n.until END RETURNING message"
)


class PostgresqlCorrespondence:
    """``Correspondence`` (contract in the port)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def find(self, caller: Caller, *, now: datetime) -> Correspondent:
        """Return what a caller chose; see the port."""
        if caller.token is None:
            return _NOBODY
        rows = await self._connections.rows("Looking a correspondent up", _FIND, caller.token)
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
        token, at = caller.token, to_micros(now)
        if token is None:
            return Correspondent(
                locale=change.locale or "", opted_out=bool(change.opted_out), place=change.place or ""
            )
        keys = [key for key in dict.fromkeys((message_key, alias_key)) if key is not None]
        row = (token, caller.key_id, change.locale, change.opted_out, change.place, at)

        async def obey(connection: Connection) -> Correspondent:
            if await connection.execute(_OBEY, keys, at) == f"INSERT 0 {len(keys)}":  # none was known before
                await connection.execute(_CHANGE, *row)
            return _correspondent(await connection.fetchrow(_FIND, token), now)

        return await self._connections.run("Changing a choice", obey)

    async def claim_notice(
        self, caller: Caller, kind: NoticeKind, *, message_key: bytes, now: datetime, until: datetime
    ) -> bool:
        """Tell whether this message gets the notice; see the port."""
        token = caller.token
        if token is None:
            return True
        row = (token, kind.value, message_key, to_micros(until), to_micros(now))
        claimed_by: bytes = await self._connections.run_single(
            "Claiming a notice", lambda connection: connection.fetchval(_CLAIM, *row)
        )
        return claimed_by == message_key


def _correspondent(row: Sequence[Any] | None, now: datetime) -> Correspondent:
    if row is None:
        return _NOBODY
    locale, opted_out, place, place_at = row
    fresh = to_micros(now - PLACE_KEPT) < place_at
    return Correspondent(locale=locale, opted_out=opted_out, place=place if fresh else "")
