"""A cache of small values that may vanish at any moment; nothing in it is ever the record."""

from __future__ import annotations

from typing import Protocol


class Cache(Protocol):
    """Promise: ``find`` returns what was last put under ``key`` unless it expired or was dropped.

    Must not be relied on: any value may be missing. Down: ``find`` is a miss and ``put`` does nothing, both
    counted, within 50 ms; nothing is raised. Keys are at most 200 ASCII characters; ``ttl_s`` is above 0.
    """

    async def find(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None: ...

    async def drop(self, key: str) -> None: ...

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        """Take ``key`` for ``ttl_s`` seconds unless somebody holds it; ``drop`` gives it back. Down: True, because a
        claim saves work and protects nothing.
        """
        ...
