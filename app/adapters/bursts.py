"""Wrong codes against their own baseline: what a burst of guessing or of copies looks like before anybody complains.

Pure counting; one slot a minute for a day, so a channel costs a few kilobytes however many wrong codes come.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SLOT_S: Final = 60.0
RECENT_SLOTS: Final = 10
DAY_SLOTS: Final = 1440
LEAST: Final = 30
TIMES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """``recent``: wrong codes of the last 10 minutes; ``baseline``: their average per 10 minutes over the 24 h before,
    or as much of that as was seen. ``on`` while there are at least 30 and more than 5 times the baseline.
    """

    recent: int
    baseline: float
    on: bool


@dataclass(slots=True)
class _Channel:
    """Counts by minute, oldest first. ``on`` is what was last seen."""

    slots: dict[int, int] = field(default_factory=dict)
    total: int = 0
    on: bool = False


class WrongCodeBursts:
    """Counts wrong codes by channel; not for several threads at once. Times are monotonic seconds.

    After a start there is no past to compare with, so 30 wrong codes within 10 minutes are a burst until there is.
    """

    def __init__(self, started_s: float) -> None:
        self._first_slot = int(started_s // SLOT_S)
        self._channels: dict[str, _Channel] = {}

    def note(self, channel: str, now_s: float) -> Burst | None:
        """Count one wrong code; return the burst at its onset, else None."""
        slot = int(now_s // SLOT_S)
        kept = self._channels.setdefault(channel, _Channel())
        kept.slots[slot] = kept.slots.get(slot, 0) + 1
        kept.total += 1
        before = kept.on
        burst = self._look(kept, slot)
        return burst if burst.on and not before else None

    def look(self, now_s: float) -> dict[str, Burst]:
        """Return how every channel stands that ever had a wrong code."""
        slot = int(now_s // SLOT_S)
        return {name: self._look(kept, slot) for name, kept in self._channels.items()}

    def _look(self, kept: _Channel, slot: int) -> Burst:
        oldest = slot - RECENT_SLOTS - DAY_SLOTS
        while kept.slots and (first := next(iter(kept.slots))) <= oldest:
            kept.total -= kept.slots.pop(first)
        recent = sum(kept.slots.get(slot - back, 0) for back in range(RECENT_SLOTS))
        seen = min(slot - RECENT_SLOTS - self._first_slot + 1, DAY_SLOTS)
        windows = max(seen / RECENT_SLOTS, 1.0)  # a shorter past counts as one whole window
        baseline = (kept.total - recent) / windows
        kept.on = recent >= LEAST and recent > TIMES * baseline
        return Burst(recent=recent, baseline=baseline, on=kept.on)
