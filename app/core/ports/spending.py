"""Caps on what outgoing messages and calls may cost a day."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Spend(StrEnum):
    """Whether one more unit may be spent today."""

    ALLOWED = "allowed"
    CALLER_CAP = "caller_cap"
    DAY_CAP = "day_cap"


class Spending(Protocol):
    """Promise: synchronous, no I/O, never raises. ``spend`` counts ``units`` (segments, minutes) of ``kind`` against
    the cap of ``caller`` (16 bytes, or b"" for nobody in particular) and of the whole day, or against none if either
    refuses.

    A day is a day of the display zone. A crash may forget the spending of the last few seconds, never of a day, and
    processes that share a store may together pass a cap by what they spend in as long.
    """

    def spend(self, kind: str, caller: bytes, units: int = 1) -> Spend: ...
