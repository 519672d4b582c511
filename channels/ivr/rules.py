"""What the dialogue goes by: lengths of codes, who can be called, limits and waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from channels.wording.reply import Wording

_MOST_COUNTED: Final = 250  # counters of a state take one byte each


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of one deployment at one moment; ``wording`` gives the hints about slips.

    ``lengths`` are the live code lengths and not empty. ``operator``, ``recording`` and ``brand_lines`` tell what this
    line can do: put callers through, record reports, call a brand's service line. Waits are in seconds. ``inputs`` is
    how often a caller may key something in one call, a bound that no conversation meets.
    """

    wording: Wording
    lengths: frozenset[int]
    operator: bool = False
    recording: bool = False
    brand_lines: bool = False
    first_digit_s: int = 8
    between_s: int = 5
    record_s: int = 60
    silences: int = 2
    wrong_entries: int = 3
    entries: int = 12
    inputs: int = 120

    def __post_init__(self) -> None:
        if not self.lengths or min(self.lengths) < 2:
            raise ValueError("lengths must hold the live code lengths, of two digits and more.")
        limits = (self.silences, self.wrong_entries, self.entries, self.inputs)
        waits = (self.first_digit_s, self.between_s, self.record_s)
        if not all(0 < limit <= _MOST_COUNTED for limit in limits) or min(waits) < 1:
            raise ValueError(f"limits must be 1 to {_MOST_COUNTED} and waits at least a second.")

    @property
    def longest(self) -> int:
        """Return the longest live code length, at which an entry ends by itself."""
        return max(self.lengths)
