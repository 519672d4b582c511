"""Reports of callers on PostgreSQL. What somebody wrote stands only sealed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from app.adapters.storage.postgresql.connections import LARGEST, Connections
from app.adapters.storage.report_rows import REPORT_COLUMNS, earliest, report_of
from app.adapters.storage.rows import to_micros
from app.core.model.caller import Caller
from app.core.model.verdict import VerificationId
from app.core.ports.reports import Report
from app.core.ports.sealing import Sealing

# about the verification that is named, else about the one this message became
_KEEP: Final = (
    "INSERT INTO report (at, channel, account, message_key, verification, recording, sealed, token)"
    " SELECT $1, $2, $3, $4, CASE WHEN $5::bigint IS NULL THEN (SELECT fact FROM message WHERE key = $4)"
    " ELSE (SELECT id FROM verification WHERE id = $5::bigint) END, $6, $7, $8"
    " ON CONFLICT (message_key, recording) DO UPDATE SET sealed = excluded.sealed"
    " WHERE excluded.sealed IS NOT NULL"
)
_NEWEST: Final = (
    f"SELECT {REPORT_COLUMNS} FROM report r WHERE r.at >= $1 ORDER BY r.at DESC, r.id DESC LIMIT $2"  # noqa: S608 - constants
)
_NONE: Final = 0  # no fact has this id


class PostgresqlReports:
    """``Reports`` (contract in the port)."""

    def __init__(self, connections: Connections, sealing: Sealing) -> None:
        self._connections = connections
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
        about = verification_id
        if about is not None and not 0 < about <= LARGEST:
            about = VerificationId(_NONE)
        row = (to_micros(at), channel, account, message_key, about, recording, sealed, token)
        await self._connections.run_single(
            "Keeping a report", lambda connection: connection.execute(_KEEP, *row)
        )

    async def newest(self, *, since: datetime | None = None, limit: int = 100) -> Sequence[Report]:
        """Return the newest reports; see the port."""
        rows = await self._connections.rows("Reading reports", _NEWEST, earliest(since), limit)
        return [report_of(row, self._sealing) for row in rows]
