"""Leadership where one process serves alone: it leads whatever it asks for."""

from __future__ import annotations

from typing import Final

_RENEW_S: Final = 5.0


class LoneLeadership:
    """The ``Leadership`` of a process without others."""

    def __init__(self) -> None:
        self._roles: set[str] = set()

    @property
    def renew_s(self) -> float:
        """Seconds between two calls of ``hold``."""
        return _RENEW_S

    async def hold(self, role: str) -> bool:
        """Lead."""
        self._roles.add(role)
        return True

    def leads(self, role: str) -> bool:
        """Tell whether the role was taken and not given up."""
        return role in self._roles

    async def resign(self, role: str) -> None:
        """Give the role up."""
        self._roles.discard(role)
