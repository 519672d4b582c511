"""The record of verifications on PostgreSQL: ``VerificationStore``, one function call a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from app.adapters.storage.postgresql.batches import ANSWERS, RECORD, Batch, first_of, stored_verdict
from app.adapters.storage.postgresql.connections import LARGEST, Connections
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.postgresql.migrations import make_months
from app.adapters.storage.postgresql.recorder import Recorder
from app.adapters.storage.postgresql.retention import forget
from app.adapters.storage.records import FACT_COLUMNS, LISTED, record_of, verification_of
from app.adapters.storage.rows import from_micros
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Verdict, VerificationId
from app.core.model.verification import Draft, Record

# an id tells neither part nor month, so they are looked up first, by the index of each
_PLACE: Final = "SELECT serial, at FROM verification WHERE id = $1"
_FACT: Final = (
    f"SELECT {FACT_COLUMNS}, own_ordinal, first_at, first_channel, first_place, first_own, own_first_at,"  # noqa: S608
    " coalesce(caller = (SELECT reference FROM caller WHERE token = $2), FALSE) AS asked_by_reader"
    " FROM told WHERE id = $1 AND shard = $3 AND at = $4"
)
# the literal is that of the partial index verification_own, which a parameter would not be known to satisfy
OWN: Final = (
    "SELECT id, at, CASE WHEN serial > 0 THEN serial END, ordinal, outcome, reasons, channel, place, digest, policy"  # noqa: S608
    f" FROM verification WHERE channel = '{LISTED}'"
    " AND caller = (SELECT reference FROM caller WHERE token = $1) ORDER BY id DESC LIMIT $2"
)
_READINESS: Final = (
    "INSERT INTO readiness VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET at = readiness.at + 1"
)


class _NotKept(Exception):
    pass


class PostgresqlVerifications:
    """``VerificationStore`` (contract in the port) with reads for the command line."""

    def __init__(self, recorder: Recorder, connections: Connections) -> None:
        self._recorder = recorder
        self._connections = connections

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        """Record a batch; see the port."""
        batch = Batch.of(drafts)
        values = batch.values(catalogue)
        return batch.verdicts(await self._recorder.run(lambda connection: connection.fetch(RECORD, *values)))

    async def preview(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        """Return what :meth:`record` would answer now, and record nothing."""
        batch = Batch.of(drafts)
        values = batch.values(catalogue)

        async def look(connection: Connection) -> list[Any]:
            rows: list[Any] = []
            try:
                async with connection.transaction():
                    rows = await connection.fetch(RECORD, *values)
                    raise _NotKept
            except _NotKept:
                return rows

        return batch.verdicts(await self._recorder.run(look))

    async def find_answer(self, message_key: bytes, alias_key: bytes | None = None) -> Verdict | None:
        """Return the verdict stored for a message; see the port."""
        keys = [key for key in (message_key, alias_key) if key is not None]
        rows = await self._connections.rows("Looking a message up", ANSWERS, keys)
        told = {row["key"]: row for row in rows}
        return next((stored_verdict(told[key]) for key in keys if key in told), None)

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None, catalogue: Catalogue
    ) -> Record | None:
        """Return a recorded verification as its reader may see it; see the port."""
        if not 0 < verification_id <= LARGEST:
            return None
        places = await self._connections.rows("Looking a record up", _PLACE, verification_id)
        if not places:
            return None
        (place,) = places
        (row,) = await self._connections.rows(
            "Reading a record", _FACT, verification_id, reader_token, *place
        )
        record = record_of(verification_of(row), catalogue, asked_by_reader=row["asked_by_reader"])
        if record.ordinal is None:
            return record
        own_first_at = row["own_first_at"]
        return replace(
            record,
            first=first_of(row),
            own_first_at=from_micros(own_first_at) if own_first_at is not None else None,
        )

    async def find_own(
        self, reader_token: bytes, channel: str, limit: int, catalogue: Catalogue
    ) -> Sequence[Record]:
        """Return a caller's own verifications, the newest first; see the port."""
        if channel != LISTED:
            return ()
        rows = await self._connections.rows("Reading a history", OWN, reader_token, limit)
        return [record_of(verification_of(row), catalogue, asked_by_reader=True) for row in rows]

    async def peek(self, serial: int) -> int:
        """Return how often a label was counted so far, 0 for none; records nothing."""
        sql = "SELECT count FROM label_history WHERE serial = $1"
        rows = await self._connections.rows("Looking a label up", sql, serial)
        return int(rows[0][0]) if rows else 0

    async def start_over(self) -> None:
        """Record on a new connection; see the port."""
        await self._recorder.start_over()

    async def check(self) -> None:
        """Commit a row of no meaning on the connection that records; see the port."""
        await self._recorder.run(lambda connection: connection.execute(_READINESS))

    async def forget(self, now: datetime) -> int:
        """Drop what may not be kept any longer, a slice of each table a call; return how many rows went.

        Makes the months ahead as well, since this is what a running service does time and again.
        """
        await self._connections.run("Making months", lambda connection: make_months(connection, now))
        return await self._connections.run("Forgetting", lambda connection: forget(connection, now))
