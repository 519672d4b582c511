"""What may not be kept any longer, and what somebody wants erased (service rules, section 6)."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Final

from app.adapters.storage.retention import (
    CALLERS_KEPT,
    MESSAGES_KEPT,
    RECORDINGS_KEPT,
    REPLIES_KEPT,
    SPENDING_KEPT,
)
from app.adapters.storage.rows import to_micros

_SLICE: Final = 2000
_PERSONAL: Final = ("caller", "correspondent", "notice", "recall_watch")
_NOTHING_TOLD: Final = "recording = NULL, sealed = NULL, token = NULL"


def forget(db: sqlite3.Connection, now: datetime) -> int:
    """Drop a slice of what is too old, each table by its own term; return how many rows went.

    Replies go by their age whatever became of them: nothing that old is sent any more.
    """
    gone = 0
    for table, column, kept in (
        ("message", "at", MESSAGES_KEPT),
        ("caller", "at", CALLERS_KEPT),
        ("reply", "owed_at", REPLIES_KEPT),
    ):
        oldest = f"SELECT id FROM {table} ORDER BY id LIMIT {_SLICE}"  # noqa: S608 - constants
        sql = f"DELETE FROM {table} WHERE id IN ({oldest}) AND {column} < ?"  # noqa: S608 - constants
        gone += db.execute(sql, (to_micros(now - kept),)).rowcount
    done = f"SELECT key FROM obeyed WHERE at < ? LIMIT {_SLICE}"  # noqa: S608 - constants
    sql = f"DELETE FROM obeyed WHERE key IN ({done})"  # noqa: S608 - constants
    gone += db.execute(sql, (to_micros(now - MESSAGES_KEPT),)).rowcount
    notices = f"SELECT token, kind FROM notice WHERE until <= ? LIMIT {_SLICE}"  # noqa: S608 - constants
    sql = f"DELETE FROM notice WHERE (token, kind) IN ({notices})"  # noqa: S608 - constants
    gone += db.execute(sql, (to_micros(now),)).rowcount
    # somebody who opted out stays so until they say otherwise
    silent = f"SELECT token FROM correspondent WHERE opted_out = 0 AND at < ? LIMIT {_SLICE}"  # noqa: S608 - constants
    sql = f"DELETE FROM correspondent WHERE token IN ({silent})"  # noqa: S608 - constants
    gone += db.execute(sql, (to_micros(now - CALLERS_KEPT),)).rowcount
    calls = f"SELECT key FROM call WHERE started_at < ? LIMIT {_SLICE}"  # noqa: S608 - constants
    sql = f"DELETE FROM call WHERE key IN ({calls})"  # noqa: S608 - constants
    gone += db.execute(sql, (to_micros(now - CALLERS_KEPT),)).rowcount
    last_day = (now - SPENDING_KEPT).date().isoformat()
    days = f"SELECT day, kind, caller FROM spending WHERE day < ? LIMIT {_SLICE}"  # noqa: S608 - constants
    sql = f"DELETE FROM spending WHERE (day, kind, caller) IN ({days})"  # noqa: S608 - constants
    gone += db.execute(sql, (last_day,)).rowcount
    old = f"SELECT id FROM report WHERE recording IS NOT NULL AND at < ? LIMIT {_SLICE}"  # noqa: S608 - constants
    sql = f"UPDATE report SET {_NOTHING_TOLD} WHERE id IN ({old})"  # noqa: S608 - constants
    gone += db.execute(sql, (to_micros(now - RECORDINGS_KEPT),)).rowcount
    watches = f"SELECT id FROM recall_watch WHERE at < ? LIMIT {_SLICE}"  # noqa: S608 - constants
    sql = f"DELETE FROM recall_watch WHERE id IN ({watches})"  # noqa: S608 - constants
    return gone + db.execute(sql, (to_micros(now - CALLERS_KEPT),)).rowcount


def erase(db: sqlite3.Connection, token: bytes) -> int:
    """Delete every row of a caller's token and what they reported; return how many rows that were.

    Facts stay, and that there was a report: their reference then maps to nobody.
    """
    gone = 0
    for table in _PERSONAL:
        gone += db.execute(f"DELETE FROM {table} WHERE token = ?", (token,)).rowcount  # noqa: S608 - constants
    gone += db.execute("DELETE FROM spending WHERE caller = ?", (token,)).rowcount
    return gone + db.execute(f"UPDATE report SET {_NOTHING_TOLD} WHERE token = ?", (token,)).rowcount  # noqa: S608
