"""Single reads beside the writer: in WAL mode a reader sees the last commit, waits for nobody and blocks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiosqlite

from app.adapters.storage.sqlite.database import as_store_errors


class Reader:
    """One connection for single statements outside any transaction, so that each sees every commit before it."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def rows(self, what: str, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of one statement; ``what`` stands in the error. Raises ``StoreUnavailable``."""
        with as_store_errors(what):
            return list(await self._connection.execute_fetchall(sql, values))
