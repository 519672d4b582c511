"""The table behind the day's spending: written behind by whoever counts, read once at the start."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.shared_commits import SharedCommits

_ADD: Final = (
    "INSERT INTO spending (day, kind, caller, units) VALUES (?, ?, ?, ?) ON CONFLICT (day, kind, caller)"
    " DO UPDATE SET units = units + excluded.units RETURNING units"
)


class SqliteSpending:
    """Units spent by day (YYYY-MM-DD of the display zone), kind and caller (a token, or b"" for the whole day)."""

    def __init__(self, commits: SharedCommits, reader: Reader) -> None:
        self._commits = commits
        self._reader = reader

    async def load(self, day: str) -> Mapping[tuple[str, bytes], int]:
        """Return the units of a day by kind and caller. Raises ``StoreUnavailable``."""
        sql = "SELECT kind, caller, units FROM spending WHERE day = ?"
        rows = await self._reader.rows("Reading the day's spending", sql, (day,))
        return {(kind, caller): units for kind, caller, units in rows}

    async def add(self, day: str, units: Iterable[tuple[str, bytes, int]]) -> Mapping[tuple[str, bytes], int]:
        """Add to totals and return the new ones. Durable when it returns, or ``StoreUnavailable``."""
        rows = list(units)
        return await self._commits.run(partial(_add, day, rows)) if rows else {}


def _add(
    day: str, rows: Iterable[tuple[str, bytes, int]], db: sqlite3.Connection
) -> dict[tuple[str, bytes], int]:
    totals: dict[tuple[str, bytes], int] = {}
    for kind, caller, units in rows:
        # read to its end, because a statement with RETURNING left open would hold the commit
        ((total,),) = db.execute(_ADD, (day, kind, caller, units)).fetchall()
        totals[kind, caller] = total
    return totals
