"""The table behind the day's spending: written behind by whoever counts, read once at the start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.shared_commits import SharedCommits

_KEEP: Final = (
    "INSERT INTO spending (day, kind, caller, units) VALUES (?, ?, ?, ?) ON CONFLICT (day, kind, caller)"
    " DO UPDATE SET units = max(units, excluded.units)"
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

    async def keep(self, day: str, units: Iterable[tuple[str, bytes, int]]) -> None:
        """Store totals by kind and caller; a total never falls. Durable when it returns, or ``StoreUnavailable``."""
        rows = [(day, kind, caller, number) for kind, caller, number in units]
        if rows:
            await self._commits.run(lambda db: db.executemany(_KEEP, rows).rowcount)
