"""The day's spending in memory, written behind: asking for leave to spend must not wait for a disk.

A crash forgets what was spent since the last write, a few seconds of a day. Processes that share a table add to one
sum, so together they pass a cap by no more than they spend between two writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from app.core.ports.clock import Clock
from app.core.ports.spending import Spend

_WHOLE_DAY: Final = b""
_CALLERS: Final = 200_000
_SHARED_BYTES: Final = 1
_STEP_BACK: Final = timedelta(hours=1)  # what a time server may correct; otherwise midnight could come twice


class SpendingTable(Protocol):
    """Where totals last, by day (YYYY-MM-DD), kind and caller (b"" for the whole day). Down: ``StoreUnavailable``."""

    async def load(self, day: str) -> Mapping[tuple[str, bytes], int]:
        """Return the units of a day."""
        ...

    async def add(self, day: str, units: Iterable[tuple[str, bytes, int]]) -> Mapping[tuple[str, bytes], int]:
        """Add to totals, durable when it returns; return the new totals of those, other processes' units included."""
        ...


class DailySpending:
    """``Spending`` (contract in the port); a kind without a cap is counted and never refused.

    ``load`` once before use, ``flush`` every few seconds and at the end. At most ``callers`` callers are counted each
    by itself; further ones share 256 counts, so that a flood of strange numbers is stricter, never open.
    """

    def __init__(
        self,
        clock: Clock,
        timezone: str,
        *,
        caps: Mapping[str, int],
        per_caller_caps: Mapping[str, int],
        callers: int = _CALLERS,
    ) -> None:
        self._clock = clock
        self._zone = ZoneInfo(timezone)
        self._caps = dict(caps)
        self._caller_caps = dict(per_caller_caps)
        self._callers = callers
        self._units: dict[tuple[str, bytes], int] = {}
        self._unwritten: dict[tuple[str, bytes], int] = {}
        self._day = ""
        self._begins = self._ends = datetime.fromtimestamp(0, UTC)

    def spend(self, kind: str, caller: bytes, units: int = 1) -> Spend:
        """Count ``units`` of a kind, or refuse and count nothing; see the port."""
        self._turn_the_page()
        day = (kind, _WHOLE_DAY)
        day_units = self._units.get(day, 0) + units
        day_cap = self._caps.get(kind)
        if day_cap is not None and day_units > day_cap:
            return Spend.DAY_CAP
        if caller:
            own = self._place_of(kind, caller)
            own_units = self._units.get(own, 0) + units
            own_cap = self._caller_caps.get(kind)
            if own_cap is not None and own_units > own_cap:
                return Spend.CALLER_CAP
            self._count(own, units)
        self._count(day, units)
        return Spend.ALLOWED

    async def load(self, table: SpendingTable) -> None:
        """Take up what was spent today before the start. Raises ``StoreUnavailable``."""
        self._turn_the_page()
        day = self._day
        spent = await table.load(day)
        if day == self._day:
            for key, units in spent.items():
                self._units[key] = self._units.get(key, 0) + units

    async def flush(self, table: SpendingTable) -> None:
        """Write what was spent since the last time, and learn what others spent. Raises ``StoreUnavailable``; the next
        time then writes it as well, which may count it twice where the answer alone was lost.
        """
        self._turn_the_page()
        day, unwritten = self._day, self._unwritten
        if not unwritten:
            return
        self._unwritten = {}
        try:
            totals = await table.add(
                day, [(kind, caller, units) for (kind, caller), units in unwritten.items()]
            )
        except BaseException:
            if day == self._day:
                for key, units in unwritten.items():
                    self._unwritten[key] = self._unwritten.get(key, 0) + units
            raise
        if day == self._day:
            for key, total in totals.items():
                self._units[key] = total + self._unwritten.get(key, 0)

    def _count(self, key: tuple[str, bytes], units: int) -> None:
        self._units[key] = self._units.get(key, 0) + units
        self._unwritten[key] = self._unwritten.get(key, 0) + units

    def _place_of(self, kind: str, caller: bytes) -> tuple[str, bytes]:
        own = (kind, caller)
        if own in self._units or len(self._units) < self._callers:
            return own
        return kind, caller[:_SHARED_BYTES]

    def _turn_the_page(self) -> None:
        """Begin a new day where the clock stands in another one; set back a little, it stays in the one begun."""
        now = self._clock.now()
        if self._begins - _STEP_BACK <= now < self._ends:
            return
        today = now.astimezone(self._zone).date()
        midnights = (datetime.combine(today + timedelta(days=days), time(), self._zone) for days in (0, 1))
        self._begins, self._ends = (midnight.astimezone(UTC) for midnight in midnights)
        self._day = today.isoformat()
        self._units.clear()
        self._unwritten = {}
