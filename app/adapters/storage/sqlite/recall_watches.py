"""Who wants to be told of a recall, on SQLite. The address stands only sealed, about the watch's own key."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final

from app.adapters.storage.replies import address_from_bytes, address_to_bytes
from app.adapters.storage.rows import from_micros, to_micros
from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.shared_commits import SharedCommits
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
    " JOIN caller c ON c.reference = v.caller AND c.token = ?"
    " JOIN batch b ON v.serial BETWEEN b.first_serial AND b.last_serial"
    " JOIN product p ON p.id = b.product JOIN brand ON brand.id = p.brand"
    " WHERE v.id = ?"
)
_KEY: Final = "SELECT key FROM recall_watch WHERE batch = ? AND token = ?"
_WATCH: Final = (
    "INSERT INTO recall_watch (key, batch, token, locale, sealed, at) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (batch, token) DO UPDATE SET locale = excluded.locale, sealed = excluded.sealed, at = excluded.at"
)
# of the bare columns beside max() SQLite takes those of the row that holds the maximum
_DUE: Final = (
    "SELECT w.id, w.key, w.batch, w.locale, w.sealed, r.at FROM"
    " (SELECT batch, recalled, at, max(id) FROM recall_event GROUP BY batch) r"
    " JOIN recall_watch w ON w.batch = r.batch WHERE r.recalled = 1 AND w.id > ? ORDER BY w.id LIMIT ?"
)


class SqliteRecallWatches:
    """``RecallWatches`` (contract in the port). ``batches`` reads every batch; asked for only when a notice is due.

    A watch that the key file cannot open is left alone: the right key file may come back.
    """

    def __init__(
        self,
        commits: SharedCommits,
        reader: Reader,
        sealing: Sealing,
        *,
        batches: Callable[[], Awaitable[Sequence[CodeBatch]]],
    ) -> None:
        self._commits = commits
        self._reader = reader
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
        if token is None:
            return False
        plain, at = address_to_bytes(address), to_micros(now)

        def work(db: sqlite3.Connection) -> bool:
            batch = _batch_checked(db, verification_id, token)
            if batch is None:
                return False
            kept = db.execute(_KEY, (batch, token)).fetchone()
            key: bytes = kept[0] if kept else secrets.token_bytes(_KEY_BYTES)
            db.execute(_WATCH, (key, batch, token, locale, self._sealing.seal(plain, about=key), at))
            return True

        return await self._commits.run(work)

    async def due(self, *, limit: int = 100) -> Sequence[RecallNotice]:
        """Return the notices that are due; see the port."""
        notices: list[RecallNotice] = []
        summaries: dict[int, LabelSummary] | None = None
        last = 0
        while len(notices) < limit:
            rows = await self._reader.rows("Looking for recall notices", _DUE, (last, limit))
            if not rows:
                break
            if summaries is None:
                summaries = {batch.id: batch.summary for batch in await self._batches()}
            for row in rows:
                notice = self._open(row, summaries)
                if notice is not None and len(notices) < limit:
                    notices.append(notice)
            last = rows[-1][0]
        return notices

    async def end(self, notices: Sequence[RecallNotice]) -> None:
        """Forget watches whose notice is owed; see the port."""
        keys = [(notice.key,) for notice in notices]
        if keys:
            sql = "DELETE FROM recall_watch WHERE key = ?"
            await self._commits.run(lambda db: db.executemany(sql, keys).rowcount)

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


def _batch_checked(db: sqlite3.Connection, verification_id: VerificationId, token: bytes) -> int | None:
    """Return the batch of a verification that this caller made and was told of, or None."""
    row = db.execute(_CHECKED, (token, verification_id)).fetchone()
    if row is None:
        return None
    batch, disclosure, outcome = row
    if disclosure == Disclosure.MINIMAL and Outcome(outcome) in UNDISCLOSED:
        return None  # the caller was told that there is no such label
    number: int = batch
    return number
