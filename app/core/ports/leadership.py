"""Who of several processes does what must be done once, such as keeping a bind open or tidying up."""

from __future__ import annotations

from typing import Protocol


class Leadership(Protocol):
    """Promise: of all processes that share it, one leads a ``role`` (a constant name) at a time.

    ``hold`` takes the role if it is free and renews it if it is ours; call it again every ``renew_s`` seconds, lead
    while it says True, and ask ``leads`` (no I/O) before each step that matters. A leader that dies is followed within
    three times ``renew_s``.

    Must not be relied on: what a role guards must be harmless when done twice, because a store of leases that loses
    its memory may name a second leader until the first one's lease ends. Down: a leader stays one until its lease
    would have ended, by its monotonic clock, and nobody becomes one; nothing is raised.
    """

    @property
    def renew_s(self) -> float: ...

    async def hold(self, role: str) -> bool: ...

    def leads(self, role: str) -> bool: ...

    async def resign(self, role: str) -> None:
        """Give the role up, so that another process can lead at once."""
        ...
