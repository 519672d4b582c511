"""Throttles whose answer a test decides."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.ports.throttle import Admission, ThrottleSubject


class OpenThrottle:
    """Admits everybody and keeps whom it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[ThrottleSubject, ...]] = []
        self.wrong: list[tuple[ThrottleSubject, ...]] = []

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        self.asked.append(tuple(subjects))
        return Admission(allowed=True)

    async def note_wrong(self, subjects: Sequence[ThrottleSubject]) -> None:
        self.wrong.append(tuple(subjects))


class ShutThrottle:
    """Admits nobody for ``retry_after_s`` seconds."""

    def __init__(self, retry_after_s: int = 90) -> None:
        self._retry_after_s = retry_after_s

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        return Admission(allowed=False, retry_after_s=self._retry_after_s)

    async def note_wrong(self, subjects: Sequence[ThrottleSubject]) -> None:
        return
