"""The record of verifications on SQLite: ``VerificationStore`` over the writer thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from app.adapters.storage.records import FACT_COLUMNS, LISTED, record_of, verification_of
from app.adapters.storage.rows import verdict_from_bytes
from app.adapters.storage.sqlite import retention
from app.adapters.storage.sqlite.histories import Histories
from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.transaction import record_drafts
from app.adapters.storage.sqlite.writer import Writer
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Verdict, VerificationId
from app.core.model.verification import Draft, Record

_ANSWER = "SELECT verdict FROM message WHERE key IN (?, ?) ORDER BY id LIMIT 1"
_COLUMNS: Final = f"{FACT_COLUMNS}, caller, own_ordinal"
_FACT: Final = f"SELECT {_COLUMNS} FROM verification WHERE id = ?"  # noqa: S608 - our own columns
# the literal is that of the partial index verification_own, which a parameter would not be known to satisfy
OWN: Final = (
    f"SELECT {_COLUMNS} FROM verification WHERE channel = '{LISTED}'"  # noqa: S608 - our own columns
    " AND caller = (SELECT reference FROM caller WHERE token = ?) ORDER BY id DESC LIMIT ?"
)


class SqliteVerifications:
    """``VerificationStore`` (contract in the port) with reads for the command line."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        """Record a batch; see the port."""
        return await self._writer.submit(
            lambda db, histories: record_drafts(db, histories, drafts, catalogue)
        )

    async def preview(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        """Return what :meth:`record` would answer now, and record nothing."""
        return await self._writer.submit(
            lambda db, histories: record_drafts(db, histories, drafts, catalogue), keep=False
        )

    async def find_answer(self, message_key: bytes, alias_key: bytes | None = None) -> Verdict | None:
        """Return the verdict stored for a message; see the port."""
        rows = await self._reader.rows("Looking a message up", _ANSWER, (message_key, alias_key))
        return verdict_from_bytes(rows[0][0]) if rows else None

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None, catalogue: Catalogue
    ) -> Record | None:
        """Return a recorded verification as its reader may see it; see the port."""
        return await self._writer.submit(
            lambda db, histories: _find_record(db, histories, verification_id, reader_token, catalogue)
        )

    async def find_own(
        self, reader_token: bytes, channel: str, limit: int, catalogue: Catalogue
    ) -> Sequence[Record]:
        """Return a caller's own verifications, the newest first; see the port."""
        if channel != LISTED:
            return ()
        rows = await self._reader.rows("Reading a history", OWN, (reader_token, limit))
        return [record_of(verification_of(row), catalogue, asked_by_reader=True) for row in rows]

    async def peek(self, serial: int) -> int:
        """Return how often a label was counted so far, 0 for none; records nothing."""
        return await self._writer.submit(lambda db, histories: _peek(db, histories, serial))

    async def start_over(self) -> None:
        """Forget the histories in memory; see the port."""
        await self._writer.submit(lambda _db, histories: histories.reset())

    async def check(self) -> None:
        """Commit a row of no meaning; see the port."""
        await self._writer.submit(_write_readiness)

    async def forget(self, now: datetime) -> int:
        """Drop what may not be kept any longer, a slice of each table a call; return how many rows went."""
        return await self._writer.submit(lambda db, _: retention.forget(db, now))


def _peek(db: sqlite3.Connection, histories: Histories, serial: int) -> int:
    histories.catch_up(_last_id(db))
    histories.load([(serial, None)])
    return histories.count_of(serial)


def _write_readiness(db: sqlite3.Connection, _histories: Histories) -> None:
    db.execute("INSERT INTO readiness VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET at = at + 1")


def _last_id(db: sqlite3.Connection) -> int:
    last_id: int | None = db.execute("SELECT max(id) FROM verification").fetchone()[0]
    return last_id or 0


def _find_record(
    db: sqlite3.Connection,
    histories: Histories,
    verification_id: VerificationId,
    reader_token: bytes | None,
    catalogue: Catalogue,
) -> Record | None:
    fact = db.execute(_FACT, (verification_id,)).fetchone()
    if fact is None:
        return None
    caller, own_ordinal = fact[-2:]
    asked_by_reader = caller is not None and caller == _reference(db, reader_token)
    record = record_of(verification_of(fact), catalogue, asked_by_reader=asked_by_reader)
    serial = record.verification.serial
    if record.ordinal is None or serial is None:
        return record
    histories.catch_up(_last_id(db))
    histories.load([(serial, caller)])
    return replace(
        record,
        first=histories.first_of(serial, caller),
        own_first_at=histories.own_first_at(serial, caller) if own_ordinal > 1 else None,
    )


def _reference(db: sqlite3.Connection, token: bytes | None) -> int | None:
    if token is None:
        return None
    row = db.execute("SELECT reference FROM caller WHERE token = ?", (token,)).fetchone()
    return row[0] if row else None
