"""What one process granted and saw while it was alone: owed to the shared limits, and paid with the next query."""

from __future__ import annotations

from typing import Final

from app.core.ports.clock import Clock
from app.core.ports.throttle import ThrottleSubject

_MOST: Final = 50_000  # subjects, of some 200 bytes each; beyond, the oldest is let off
NOTHING: Final = (0, 0)


class Debts:
    """Queries and wrong codes by subject, each forgotten ``keep_s`` seconds after its last addition."""

    def __init__(self, clock: Clock, *, keep_s: float, most: int = _MOST) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._most = most
        self._owed: dict[ThrottleSubject, tuple[int, int, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._owed)

    def add(self, subject: ThrottleSubject, *, queries: int = 0, wrong: int = 0) -> None:
        """Owe more."""
        owed = self.take(subject)
        if len(self._owed) >= self._most:
            del self._owed[next(iter(self._owed))]
        until = self._clock.monotonic_s() + self._keep_s
        self._owed[subject] = (owed[0] + queries, owed[1] + wrong, until)

    def take(self, subject: ThrottleSubject) -> tuple[int, int]:
        """Return the queries and wrong codes that ``subject`` owes, which it then no longer does."""
        owed = self._owed.pop(subject, None)
        if owed is None or owed[2] <= self._clock.monotonic_s():
            return NOTHING
        return owed[:2]
