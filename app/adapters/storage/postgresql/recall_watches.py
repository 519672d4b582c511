"""Who wants to be told of a recall, on PostgreSQL. The address stands only sealed, about the watch's own key."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from app.adapters.storage.postgresql.connections import LARGEST, Connections
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.replies import address_from_bytes, address_to_bytes
from app.adapters.storage.rows import from_micros, to_micros
from app.core.model.caller import Caller
from app.core.model.label import CodeBatch, Disclosure, LabelSummary
from app.core.model.reply import ReplyAddress
from app.core.model.verdict import Outcome, VerificationId
from app.core.ports.recall_watches import RecallNotice
from app.core.ports.sealing import Sealing
from app.core.rules import UNDISCLOSED

_KEY_BYTES: Final = 16
_CHECKED: Final = (
    "SELECT b.id, brand.disclosure, v.outcome FROM verification v"
    " JOIN caller c ON c.reference = v.caller AND c.token = $1"
    " JOIN batch b ON v.serial BETWEEN b.first_serial AND b.last_serial"
    " JOIN product p ON p.id = b.product JOIN brand ON brand.id = p.brand"
    " WHERE v.id = $2"
)
# the key stays through a change of address: what was sealed anew is sealed about it, so it is looked for first
_KEY: Final = "SELECT key FROM recall_watch WHERE batch = $1 AND token = $2 FOR UPDATE"
_CHANGE: Final = "UPDATE recall_watch SET locale = $2, sealed = $3, at = $4 WHERE key = $1"
_WATCH: Final = (
    "INSERT INTO recall_watch (key, batch, token, locale, sealed, at) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (batch, token) DO NOTHING RETURNING id"
)
_DUE: Final = (
    "SELECT w.id, w.key, w.batch, w.locale, w.sealed, r.at FROM"
    " (SELECT DISTINCT ON (batch) batch, recalled, at FROM recall_event ORDER BY batch, id DESC) r"
    " JOIN recall_watch w ON w.batch = r.batch WHERE r.recalled = 1 AND w.id > $1 ORDER BY w.id LIMIT $2"
)


class PostgresqlRecallWatches:
    """``RecallWatches`` (contract in the port). ``batches`` reads every batch; asked for only when a notice is due.

    A watch that the key file cannot open is left alone: the right key file may come back.
    """

    def __init__(
        self,
        connections: Connections,
        sealing: Sealing,
        *,
        batches: Callable[[], Awaitable[Sequence[CodeBatch]]],
    ) -> None:
        self._connections = connections
        self._sealing = sealing
        self._batches = batches

    async def watch(
        self,
        verification_id: VerificationId,
        watcher: Caller,
        address: ReplyAddress,
        *,
        locale: str,
        now: datetime,
    ) -> bool:
        """Keep a wish to be told; see the port."""
        token = watcher.token
        if token is None or not 0 < verification_id <= LARGEST:
            return False
        plain, at = address_to_bytes(address), to_micros(now)

        async def work(connection: Connection) -> bool:
            batch = await _batch_checked(connection, verification_id, token)
            if batch is None:
                return False
            fresh = secrets.token_bytes(_KEY_BYTES)
            sealed = self._sealing.seal(plain, about=fresh)
            if await connection.fetch(_WATCH, fresh, batch, token, locale, sealed, at):
                return True
            # the row that stood in the way is committed: a conflict waits for it
            key: bytes | None = await connection.fetchval(_KEY, batch, token)
            if key is not None:  # else the notice went out at this moment, on the same consent
                await connection.execute(_CHANGE, key, locale, self._sealing.seal(plain, about=key), at)
            return True

        return await self._connections.run("Keeping a watch", work)

    async def due(self, *, limit: int = 100) -> Sequence[RecallNotice]:
        """Return the notices that are due; see the port."""
        notices: list[RecallNotice] = []
        summaries: dict[int, LabelSummary] | None = None
        last = 0
        while len(notices) < limit:
            rows = await self._connections.rows("Looking for recall notices", _DUE, last, limit)
            if not rows:
                break
            if summaries is None:
                summaries = {batch.id: batch.summary for batch in await self._batches()}
            for row in rows:
                notice = self._open(row, summaries)
                if notice is not None and len(notices) < limit:
                    notices.append(notice)
            last = rows[-1]["id"]
        return notices

    async def end(self, notices: Sequence[RecallNotice]) -> None:
        """Forget watches whose notice is owed; see the port."""
        keys = [notice.key for notice in notices]
        if keys:
            sql = "DELETE FROM recall_watch WHERE key = ANY ($1::bytea[])"
            await self._connections.run_single(
                "Ending watches", lambda connection: connection.execute(sql, keys)
            )

    def _open(self, row: Sequence[Any], summaries: dict[int, LabelSummary]) -> RecallNotice | None:
        number, key, batch, locale, sealed, recalled_at = row
        plain = self._sealing.open(sealed, about=key)
        address = address_from_bytes(plain) if plain is not None else None
        if address is None:
            return None
        return RecallNotice(
            id=number,
            key=key,
            address=address,
            label=summaries[batch],
            locale=locale,
            recalled_at=from_micros(recalled_at),
        )


async def _batch_checked(connection: Connection, verification_id: VerificationId, token: bytes) -> int | None:
    """Return the batch of a verification that this caller made and was told of, or None."""
    row = await connection.fetchrow(_CHECKED, token, verification_id)
    if row is None:
        return None
    batch, disclosure, outcome = row
    if disclosure == Disclosure.MINIMAL and Outcome(outcome) in UNDISCLOSED:
        return None  # the caller was told that there is no such label
    number: int = batch
    return number
