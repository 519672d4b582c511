"""The table behind the day's spending: whoever counts adds what it spent, and learns what all spent together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from app.adapters.storage.postgresql.connections import Connections

_ADD: Final = (
    "INSERT INTO spending AS s (day, kind, caller, units) SELECT $1, kind, caller, sum(units)"
    " FROM unnest($2::text[], $3::bytea[], $4::bigint[]) AS spent (kind, caller, units)"
    " GROUP BY kind, caller ORDER BY kind, caller"
    " ON CONFLICT (day, kind, caller) DO UPDATE SET units = s.units + excluded.units RETURNING kind, caller, units"
)


class PostgresqlSpending:
    """Units spent by day (YYYY-MM-DD of the display zone), kind and caller (a token, or b"" for the whole day)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def load(self, day: str) -> Mapping[tuple[str, bytes], int]:
        """Return the units of a day by kind and caller. Raises ``StoreUnavailable``."""
        sql = "SELECT kind, caller, units FROM spending WHERE day = $1"
        rows = await self._connections.rows("Reading the day's spending", sql, day)
        return {(kind, caller): units for kind, caller, units in rows}

    async def add(self, day: str, units: Iterable[tuple[str, bytes, int]]) -> Mapping[tuple[str, bytes], int]:
        """Add to totals and return the new ones. Durable when it returns, or ``StoreUnavailable``."""
        columns = [list(column) for column in zip(*units, strict=True)]
        if not columns:
            return {}
        rows = await self._connections.run_single(
            "Keeping the day's spending", lambda connection: connection.fetch(_ADD, day, *columns)
        )
        return {(kind, caller): total for kind, caller, total in rows}
