"""The part of asyncpg that is used here, written down: the driver itself comes without types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Connection(Protocol):
    """What this package uses of the driver's connection; the driver's own is without types."""

    async def execute(self, query: str, *values: object, timeout: float | None = None) -> str: ...  # noqa: ASYNC109

    async def executemany(self, command: str, args: Sequence[Sequence[object]]) -> None: ...

    async def fetch(self, query: str, *values: object, timeout: float | None = None) -> list[Any]: ...  # noqa: ASYNC109

    async def fetchrow(self, query: str, *values: object) -> Any: ...  # noqa: ANN401 - a row or None

    async def fetchval(self, query: str, *values: object) -> Any: ...  # noqa: ANN401 - a column's value

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[None]: ...

    def add_log_listener(self, callback: Callable[[Any, Any], None]) -> None: ...

    def remove_log_listener(self, callback: Callable[[Any, Any], None]) -> None: ...

    def is_closed(self) -> bool: ...

    async def close(self, *, timeout: float | None = None) -> None: ...  # noqa: ASYNC109

    def terminate(self) -> None: ...


class Pool(Protocol):
    """What this package uses of the driver's pool of connections."""

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]: ...

    async def expire_connections(self) -> None: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...
