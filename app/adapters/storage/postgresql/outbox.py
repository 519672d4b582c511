"""The outbox on PostgreSQL. What it keeps in clear: keys, times, states and the provider's ids; the rest is sealed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from app.adapters.storage.postgresql.connections import LARGEST, Connections
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.replies import (
    DELIVERY_RANK,
    REPLY_COLUMNS,
    UNREADABLE_FOR,
    open_reply,
    word_payload,
)
from app.adapters.storage.reply_payload import ReplyPayload, payload_to_bytes
from app.adapters.storage.rows import to_micros
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
# One statement. Where another machine owes the same message at the same moment, the unique key ends it whole.
_OWE: Final = (
    "WITH owed AS (INSERT INTO reply (key, sender, state, sealed, owed_at, due_at)"
    " SELECT $1, $3, 'waiting', $4, $5::bigint, $5::bigint"
    " WHERE NOT EXISTS (SELECT FROM reply_key WHERE key = ANY ($2::bytea[])) RETURNING id)"
    " INSERT INTO reply_key (key, reply) SELECT known.key, owed.id FROM owed, unnest($2::bytea[]) AS known (key)"
    " ORDER BY known.key RETURNING reply"
)
_KNOWN: Final = "SELECT 1 FROM reply_key WHERE key = ANY ($1::bytea[]) LIMIT 1"
_DUE: Final = "FROM reply WHERE state IN ('waiting', 'sending') AND due_at <= $1"
_ANY_DUE: Final = f"SELECT 1 {_DUE} LIMIT 1"
# another taker's rows are passed over; whoever waits for a row would find it leased
_TAKE: Final = f"SELECT {REPLY_COLUMNS} {_DUE} ORDER BY owed_at, id LIMIT $2 FOR UPDATE SKIP LOCKED"
_LEASE: Final = (
    "UPDATE reply SET state = $2, tries = $3, doubts = $4, doubtful = $5, due_at = $6, tried_at = $7"
    " WHERE id = $1"
)
_CLOSE: Final = "sealed = NULL, doubtful = FALSE"
_ACCEPT: Final = (
    "UPDATE reply SET state = 'sent', provider_id = coalesce(provider_id, $2), delivery ="  # noqa: S608 - constants
    f" coalesce(delivery, 'accepted'), delivery_at = coalesce(delivery_at, $3), {_CLOSE} WHERE id = $1"
)
_PUT_OFF: Final = (
    "UPDATE reply SET state = 'waiting', due_at = $2, doubtful = $3, doubts = doubts + $3::boolean::integer,"
    " tried_at = coalesce(tried_at, $4) WHERE id = $1 AND state IN ('waiting', 'sending')"
)
_GIVE_UP: Final = (
    f"UPDATE reply SET state = 'failed', why = $2, {_CLOSE}"  # noqa: S608 - constants
    " WHERE id = $1 AND state IN ('waiting', 'sending')"
)
_BY_ID: Final = "SELECT id, state, tries, delivery FROM reply WHERE id = $1 AND sender = $2 FOR UPDATE"
_BY_PROVIDER_ID: Final = (
    "SELECT id, state, tries, delivery FROM reply WHERE sender = $1 AND provider_id = $2 LIMIT 1 FOR UPDATE"
)


class PostgresqlOutbox:
    """``Outbox`` (contract in the port)."""

    def __init__(self, connections: Connections, sealing: Sealing) -> None:
        self._connections = connections
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
        keys, at = _keys(key, alias), to_micros(now)

        async def owe(connection: Connection) -> bool:
            try:
                return bool(await connection.fetch(_OWE, key, keys, address.sender, sealed, at))
            except asyncpg.UniqueViolationError:
                return False

        return await self._connections.run_single("Keeping a reply", owe)

    async def knows(self, key: bytes, alias: bytes | None = None) -> bool:
        """Tell whether a reply to this message was ever owed; see the port."""
        return bool(await self._connections.rows("Looking a reply up", _KNOWN, _keys(key, alias)))

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]:
        """Take what is due; see the port."""
        at = to_micros(now)
        if not await self._connections.rows("Looking for replies", _ANY_DUE, at):
            return ()
        leased_to = at + round(lease_s * _MICROS)
        return await self._connections.run(
            "Taking replies", lambda connection: self._take(connection, at, limit, leased_to)
        )

    async def settle(self, reply_id: ReplyId, settlement: Settlement, *, now: datetime) -> None:
        """Note what became of a reply that was taken; see the port. One that is settled for good stays so."""
        await self._connections.run(
            "Settling a reply",
            lambda connection: self._settle(connection, reply_id, settlement, to_micros(now)),
        )

    async def note_delivery(
        self, sender: str, *, provider_id: str, reply_id: ReplyId | None, state: Delivery, now: datetime
    ) -> bool:
        """Note a provider's report; see the port."""
        return await self._connections.run(
            "Noting a delivery",
            lambda connection: _note_delivery(
                connection, sender, provider_id, reply_id, state, to_micros(now)
            ),
        )

    async def known_ids(self, sender: str, provider_ids: Collection[str]) -> frozenset[str]:
        """Return which ids are already those of replies; see the port."""
        sql = "SELECT provider_id FROM reply WHERE sender = $1 AND provider_id = ANY ($2::text[])"
        rows = await self._connections.rows("Looking replies up", sql, sender, list(provider_ids))
        return frozenset(row[0] for row in rows)

    # -- inside a transaction --------------------------------------------------------------------------------

    async def _take(self, connection: Connection, at: int, limit: int, leased_to: int) -> list[OwedReply]:
        taken: list[OwedReply] = []
        leases: list[tuple[Any, ...]] = []
        unreadable: list[int] = []
        for row in await connection.fetch(_TAKE, at, limit):
            reply = open_reply(row, self._sealing)
            if reply is None:
                unreadable.append(row["id"])
                continue
            tried_at = to_micros(reply.tried_at) if reply.tried_at is not None else at
            leases.append(
                (
                    reply.id,
                    "sending" if reply.text else "waiting",
                    reply.tries,
                    reply.doubts,
                    reply.doubtful,
                    leased_to,
                    tried_at if reply.text else None,
                )
            )
            taken.append(reply)
        await connection.executemany(_LEASE, leases)
        if unreadable:
            later = at + UNREADABLE_FOR // timedelta(microseconds=1)
            await connection.execute(
                "UPDATE reply SET due_at = $1 WHERE id = ANY ($2::bigint[])", later, unreadable
            )
        return taken

    async def _settle(
        self, connection: Connection, reply_id: ReplyId, settlement: Settlement, at: int
    ) -> None:
        match settlement:
            case Worded(text=text):
                await self._word(connection, reply_id, text, at)
            case Accepted(provider_id=provider_id):
                await connection.execute(_ACCEPT, reply_id, provider_id or None, at)
            case PutOff(until=until, doubtful=doubtful):
                await connection.execute(_PUT_OFF, reply_id, to_micros(until), doubtful, at)
            case GivenUp(why=why):
                await connection.execute(_GIVE_UP, reply_id, why)

    async def _word(self, connection: Connection, reply_id: ReplyId, text: str, at: int) -> None:
        sql = "SELECT key, sealed FROM reply WHERE id = $1 AND state = 'waiting' FOR UPDATE"
        row = await connection.fetchrow(sql, reply_id)
        sealed = word_payload(row["sealed"], row["key"], text, self._sealing) if row is not None else None
        if sealed is not None:
            sql = "UPDATE reply SET sealed = $2, due_at = $3 WHERE id = $1"
            await connection.execute(sql, reply_id, sealed, at)


def _keys(key: bytes, alias: bytes | None) -> list[bytes]:
    return sorted({key, alias} if alias is not None else {key})


async def _note_delivery(
    connection: Connection,
    sender: str,
    provider_id: str,
    reply_id: ReplyId | None,
    state: Delivery,
    at: int,
) -> bool:
    row = None
    if reply_id is not None and 0 < reply_id <= LARGEST:  # a provider may echo anything
        row = await connection.fetchrow(_BY_ID, reply_id, sender)
    if row is None and provider_id:
        row = await connection.fetchrow(_BY_PROVIDER_ID, sender, provider_id)
    if row is None or not row["tries"]:
        return False
    number, before = row["id"], row["delivery"]
    if before is None or DELIVERY_RANK[state] > DELIVERY_RANK[Delivery(before)]:
        sql = "UPDATE reply SET delivery = $2, delivery_at = $3 WHERE id = $1"
        await connection.execute(sql, number, state.value, at)
    if provider_id:
        sql = "UPDATE reply SET provider_id = $2 WHERE id = $1 AND provider_id IS NULL"
        await connection.execute(sql, number, provider_id)
    if row["state"] in ("waiting", "sending"):  # whatever we know of the try, the provider has the reply
        await connection.execute(f"UPDATE reply SET state = 'sent', {_CLOSE} WHERE id = $1", number)  # noqa: S608
    return True
