"""The density gate: how many labels a length of code may carry, and how likely a guess then is.

At most one code in a billion may be real (service rules, section 2), so that guessing never pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_CODES_PER_LABEL: Final = 10**9
_CHECK_VALUES: Final = 10**2  # a guesser can work out the check digits


def most_labels(digits: int) -> int:
    """Return how many labels may carry codes of this length in all."""
    return int(10**digits) // _CODES_PER_LABEL


def length_for(labels: int) -> int:
    """Return the shortest length of code, of a layout or not, that may carry this many labels."""
    digits = len(str(_CODES_PER_LABEL)) - 1
    while most_labels(digits) < labels:
        digits += 1
    return digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """How full a length of code is after an order: `labels` carry codes of `digits` digits, over all brands."""

    digits: int
    labels: int

    @property
    def share(self) -> float:
        """Real codes among all strings of the length; at most 1e-9."""
        return float(self.labels / 10**self.digits)

    @property
    def guess_rate(self) -> float:
        """The chance that one guess with right check digits is a real code."""
        return float(self.labels * _CHECK_VALUES / 10**self.digits)
