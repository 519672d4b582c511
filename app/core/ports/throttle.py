"""Limits on how often somebody may ask. The unit of abuse is a wrong code, not a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ThrottleSubject:
    """Who is limited: ``kind`` names the limit (data: see settings), ``key`` the one it is counted for.

    Subjects that are always asked about together name the same ``group``, so that a store in several parts keeps
    their counts in one; a kind and key must name the same group every time.
    """

    kind: str
    key: bytes | str
    group: bytes | str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Admission:
    """May the query go on; if not, when to come back; if so, how long the answer is slowed (0 as a rule)."""

    allowed: bool
    retry_after_s: int = 0
    slow_ms: int = 0


class Throttle(Protocol):
    """Promise: ``admit`` counts one query against every subject, or none if any refuses; ``note_wrong`` counts one
    wrong code, which limits the next query only. Down: stricter local limits, counted, never open.
    """

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission: ...

    async def note_wrong(self, subjects: Sequence[ThrottleSubject]) -> None: ...
