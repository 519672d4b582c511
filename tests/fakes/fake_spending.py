"""Spending whose caps a test decides."""

from __future__ import annotations

from collections import Counter

from app.core.ports.spending import Spend


class FakeSpending:
    """Counts every unit; open unless a cap is given. A day never ends."""

    def __init__(self, *, caller_cap: int | None = None, day_cap: int | None = None) -> None:
        self.caller_cap = caller_cap
        self.day_cap = day_cap
        self.spent: Counter[tuple[str, bytes]] = Counter()  # caller b"" is the whole day

    def spend(self, kind: str, caller: bytes, units: int = 1) -> Spend:
        if self.day_cap is not None and self.spent[kind, b""] + units > self.day_cap:
            return Spend.DAY_CAP
        if caller and self.caller_cap is not None and self.spent[kind, caller] + units > self.caller_cap:
            return Spend.CALLER_CAP
        self.spent[kind, b""] += units
        if caller:
            self.spent[kind, caller] += units
        return Spend.ALLOWED
