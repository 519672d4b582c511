"""The clock: the only source of the present moment."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Promise: ``now`` is an aware UTC time; it may jump either way, so nobody may order facts by it.

    ``monotonic_s`` is seconds that never go back, for deadlines and limits.
    """

    def now(self) -> datetime: ...

    def monotonic_s(self) -> float: ...
