"""The outbox on SQLite. What it keeps in clear: keys, times, states and the provider's ids; the rest is sealed."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from app.adapters.storage.replies import (
    DELIVERY_RANK,
    REPLY_COLUMNS,
    UNREADABLE_FOR,
    open_reply,
    word_payload,
)
from app.adapters.storage.reply_payload import ReplyPayload, payload_to_bytes
from app.adapters.storage.rows import to_micros
from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.shared_commits import SharedCommits
from app.core.model.reply import (
    Accepted,
    Delivery,
    GivenUp,
    OwedReply,
    PutOff,
    ReplyAddress,
    ReplyId,
    Settlement,
    Worded,
)
from app.core.model.verification import VerificationRequest
from app.core.ports.sealing import Sealing

_MICROS: Final = 1_000_000

_DUE = "FROM reply WHERE state IN ('waiting', 'sending') AND due_at <= ?"
_TAKE = (
    f"SELECT {REPLY_COLUMNS} FROM reply WHERE id IN"  # noqa: S608 - constants
    f" (SELECT id {_DUE} ORDER BY owed_at, id LIMIT ?) ORDER BY owed_at, id"
)
# a message is known by either of its ids, and either may have come first
_KNOWN = "SELECT 1 FROM reply WHERE key IN (?, ?) UNION ALL SELECT 1 FROM reply WHERE alias IN (?, ?) LIMIT 1"
_OWE = "INSERT INTO reply (key, alias, sender, state, sealed, owed_at, due_at) VALUES (?, ?, ?, 'waiting', ?, ?, ?)"
_CLOSE = "sealed = NULL, doubtful = 0"


class SqliteOutbox:
    """``Outbox`` (contract in the port). A reply that the key file cannot open is left alone for ten minutes at a time:
    the right key file may come back.
    """

    def __init__(self, commits: SharedCommits, reader: Reader, sealing: Sealing) -> None:
        self._commits = commits
        self._reader = reader
        self._sealing = sealing

    async def owe(
        self,
        key: bytes,
        address: ReplyAddress,
        *,
        now: datetime,
        text: str = "",
        question: VerificationRequest | None = None,
        more_codes: bool = False,
        alias: bytes | None = None,
    ) -> bool:
        """Keep a reply that is owed; see the port. Raises ``ValueError`` with neither text nor question."""
        if not text and question is None:
            raise ValueError("a reply needs a text or a question")
        payload = ReplyPayload(address=address, text=text, question=question, more_codes=more_codes)
        sealed = self._sealing.seal(payload_to_bytes(payload), about=key)
        at = to_micros(now)
        row = (key, alias, address.sender, sealed, at, at)
        return await self._commits.run(lambda db: _owe(db, key, alias, row))

    async def knows(self, key: bytes, alias: bytes | None = None) -> bool:
        """Tell whether a reply to this message was ever owed; see the port."""
        return bool(await self._reader.rows("Looking a reply up", _KNOWN, (key, alias) * 2))

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]:
        """Take what is due; see the port."""
        at = to_micros(now)
        # looked for beside the writer first: mostly nothing is due, and verifications wait for the writer's turn
        if not await self._reader.rows("Looking for replies", f"SELECT 1 {_DUE} LIMIT 1", (at,)):
            return ()
        leased_to = at + round(lease_s * _MICROS)
        return await self._commits.run(lambda db: self._take(db, at, limit, leased_to))

    async def settle(self, reply_id: ReplyId, settlement: Settlement, *, now: datetime) -> None:
        """Note what became of a reply that was taken; see the port. One that is settled for good stays so."""
        await self._commits.run(lambda db: self._settle(db, reply_id, settlement, to_micros(now)))

    async def note_delivery(
        self, sender: str, *, provider_id: str, reply_id: ReplyId | None, state: Delivery, now: datetime
    ) -> bool:
        """Note a provider's report; see the port."""
        at = to_micros(now)
        return await self._commits.run(
            lambda db: _note_delivery(db, sender, provider_id, reply_id, state, at)
        )

    async def known_ids(self, sender: str, provider_ids: Collection[str]) -> frozenset[str]:
        """Return which ids are already those of replies; see the port."""
        sql = "SELECT provider_id FROM reply WHERE sender = ? AND provider_id IN (SELECT value FROM json_each(?))"
        rows = await self._reader.rows(
            "Looking replies up", sql, (sender, orjson.dumps(list(provider_ids)).decode())
        )
        return frozenset(row[0] for row in rows)

    # -- in the writer's thread ------------------------------------------------------------------------------

    def _take(self, db: sqlite3.Connection, at: int, limit: int, leased_to: int) -> list[OwedReply]:
        taken = []
        for row in db.execute(_TAKE, (at, limit)).fetchall():
            reply = open_reply(row, self._sealing)
            if reply is None:
                later = at + UNREADABLE_FOR // timedelta(microseconds=1)
                db.execute("UPDATE reply SET due_at = ? WHERE id = ?", (later, row[0]))
                continue
            tried_at = to_micros(reply.tried_at) if reply.tried_at is not None else at
            db.execute(
                "UPDATE reply SET state = ?, tries = ?, doubts = ?, doubtful = ?, due_at = ?, tried_at = ?"
                " WHERE id = ?",
                (
                    "sending" if reply.text else "waiting",
                    reply.tries,
                    reply.doubts,
                    reply.doubtful,
                    leased_to,
                    tried_at if reply.text else None,
                    reply.id,
                ),
            )
            taken.append(reply)
        return taken

    def _settle(self, db: sqlite3.Connection, reply_id: ReplyId, settlement: Settlement, at: int) -> None:
        match settlement:
            case Worded(text=text):
                self._word(db, reply_id, text, at)
            case Accepted(provider_id=provider_id):
                db.execute(
                    f"UPDATE reply SET state = 'sent', provider_id = coalesce(provider_id, ?), delivery ="  # noqa: S608
                    f" coalesce(delivery, 'accepted'), delivery_at = coalesce(delivery_at, ?), {_CLOSE} WHERE id = ?",
                    (provider_id or None, at, reply_id),
                )
            case PutOff(until=until, doubtful=doubtful):
                db.execute(
                    "UPDATE reply SET state = 'waiting', due_at = ?, doubtful = ?, doubts = doubts + ?,"
                    " tried_at = coalesce(tried_at, ?) WHERE id = ? AND state IN ('waiting', 'sending')",
                    (to_micros(until), doubtful, doubtful, at, reply_id),
                )
            case GivenUp(why=why):
                db.execute(
                    f"UPDATE reply SET state = 'failed', why = ?, {_CLOSE}"  # noqa: S608
                    " WHERE id = ? AND state IN ('waiting', 'sending')",
                    (why, reply_id),
                )

    def _word(self, db: sqlite3.Connection, reply_id: ReplyId, text: str, at: int) -> None:
        sql = "SELECT key, sealed FROM reply WHERE id = ? AND state = 'waiting'"
        row = db.execute(sql, (reply_id,)).fetchone()
        sealed = word_payload(row[1], row[0], text, self._sealing) if row is not None else None
        if sealed is None:
            return
        db.execute("UPDATE reply SET sealed = ?, due_at = ? WHERE id = ?", (sealed, at, reply_id))


def _owe(db: sqlite3.Connection, key: bytes, alias: bytes | None, row: Sequence[Any]) -> bool:
    if db.execute(_KNOWN, (key, alias) * 2).fetchone():
        return False
    db.execute(_OWE, row)
    return True


def _note_delivery(
    db: sqlite3.Connection, sender: str, provider_id: str, reply_id: ReplyId | None, state: Delivery, at: int
) -> bool:
    row = None
    if reply_id is not None:
        sql = "SELECT id, state, tries, delivery FROM reply WHERE id = ? AND sender = ?"
        row = db.execute(sql, (reply_id, sender)).fetchone()
    if row is None and provider_id:
        sql = "SELECT id, state, tries, delivery FROM reply WHERE sender = ? AND provider_id = ?"
        row = db.execute(sql, (sender, provider_id)).fetchone()
    if row is None or not row[2]:
        return False
    number, reply_state, _, before = row
    if before is None or DELIVERY_RANK[state] > DELIVERY_RANK[Delivery(before)]:
        sql = "UPDATE reply SET delivery = ?, delivery_at = ? WHERE id = ?"
        db.execute(sql, (state.value, at, number))
    if provider_id:
        sql = "UPDATE reply SET provider_id = ? WHERE id = ? AND provider_id IS NULL"
        db.execute(sql, (provider_id, number))
    if reply_state in ("waiting", "sending"):  # whatever we know of the try, the provider has the reply
        db.execute(f"UPDATE reply SET state = 'sent', {_CLOSE} WHERE id = ?", (number,))  # noqa: S608
    return True
