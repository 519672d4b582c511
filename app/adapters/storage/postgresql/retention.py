"""What may not be kept any longer, and what somebody wants erased (service rules, section 6)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.retention import (
    CALLERS_KEPT,
    MESSAGES_KEPT,
    RECORDINGS_KEPT,
    REPLIES_KEPT,
    SPENDING_KEPT,
)
from app.adapters.storage.rows import to_micros

_SLICE: Final = 2000
# table, its key, which rows are too old at $1, and for how long they are kept
_TERMS: Final = (
    ("message", "key", "at < $1", MESSAGES_KEPT),
    ("caller", "token", "at < $1", CALLERS_KEPT),
    ("reply", "id", "owed_at < $1", REPLIES_KEPT),  # whatever became of it: nothing that old is sent any more
    ("obeyed", "key", "at < $1", MESSAGES_KEPT),
    ("notice", "(token, kind)", "until <= $1", timedelta()),
    # somebody who opted out stays so until they say otherwise
    ("correspondent", "token", "NOT opted_out AND at < $1", CALLERS_KEPT),
    ("call", "key", "started_at < $1", CALLERS_KEPT),
    ("recall_watch", "id", "at < $1", CALLERS_KEPT),
)
_PERSONAL: Final = ("caller", "correspondent", "notice", "recall_watch")
_SPENT: Final = (
    "DELETE FROM spending WHERE (day, kind, caller) IN"  # noqa: S608 - constants
    f" (SELECT day, kind, caller FROM spending WHERE day < $1 LIMIT {_SLICE})"
)
_NOTHING_TOLD: Final = "recording = NULL, sealed = NULL, token = NULL"
_RECORDINGS: Final = (
    f"UPDATE report SET {_NOTHING_TOLD} WHERE id IN"  # noqa: S608 - constants
    f" (SELECT id FROM report WHERE recording IS NOT NULL AND at < $1 LIMIT {_SLICE})"
)


async def forget(connection: Connection, now: datetime) -> int:
    """Drop a slice of what is too old, each table by its own term; return how many rows went."""
    gone = 0
    for table, key, old, kept in _TERMS:
        columns = key.strip("()")
        # rows that another process forgets at this moment are left to it
        chosen = f"SELECT {columns} FROM {table} WHERE {old} LIMIT {_SLICE} FOR UPDATE SKIP LOCKED"  # noqa: S608
        sql = f"DELETE FROM {table} WHERE {key} IN ({chosen})"  # noqa: S608 - constants
        gone += _rows_of(await connection.execute(sql, to_micros(now - kept)))
    gone += _rows_of(await connection.execute(_SPENT, (now - SPENDING_KEPT).date().isoformat()))
    return gone + _rows_of(await connection.execute(_RECORDINGS, to_micros(now - RECORDINGS_KEPT)))


async def erase(connection: Connection, token: bytes) -> int:
    """Delete every row of a caller's token and what they reported; return how many rows that were.

    Facts stay, and that there was a report: their reference then maps to nobody.
    """
    gone = 0
    for table in _PERSONAL:
        gone += _rows_of(await connection.execute(f"DELETE FROM {table} WHERE token = $1", token))  # noqa: S608
    gone += _rows_of(await connection.execute("DELETE FROM spending WHERE caller = $1", token))
    sql = f"UPDATE report SET {_NOTHING_TOLD} WHERE token = $1"  # noqa: S608 - constants
    return gone + _rows_of(await connection.execute(sql, token))


def _rows_of(tag: str) -> int:
    """Return the number in a command tag such as ``DELETE 3``."""
    return int(tag.rpartition(" ")[2])
