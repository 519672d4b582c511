"""The catalogue on SQLite: a consistent snapshot for recognition, and look-ups of imported codes.

Label states are folded from their events; a batch without new events keeps its spans.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import aiosqlite

from app.adapters.storage.catalogue_rows import (
    BATCHES,
    BRANDS,
    KEY_CHECKS,
    PRODUCTS,
    PROGRAMMES,
    StateEvents,
    batches_of,
    brands_of,
    products_of,
    programmes_of,
)
from app.adapters.storage.sqlite.database import as_store_errors
from app.core.model.catalogue import Catalogue
from app.core.model.label import Brand, CodeBatch, Product, Programme

_EVENTS: Final = (
    "SELECT id, batch, first_serial, last_serial, state, reason, at FROM state_event WHERE id > ? ORDER BY id"
)
_IMPORTED: Final = "SELECT serial FROM imported_code WHERE digest = ?"


async def rows_of(connection: aiosqlite.Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
    """Return all rows of a query; one hop to the connection's thread."""
    return list(await connection.execute_fetchall(sql, values))


class SqliteCatalogues:
    """``CatalogueStore``; one connection, used by one event loop."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._one_at_a_time = asyncio.Lock()
        self._events = StateEvents()

    async def version(self) -> int:
        """Return the present version; see the port."""
        with as_store_errors("Reading the catalogue's version"):
            async with self._one_at_a_time:  # or it would read inside the snapshot of a load under way
                return await self._version()

    async def load(self) -> Catalogue:
        """Return the present snapshot; see the port."""
        with as_store_errors("Reading the catalogue"):
            async with self._one_at_a_time:
                try:
                    await self._connection.execute("BEGIN")
                    return await self._read()
                finally:
                    # Asked for in any case: a cancelled BEGIN is carried out all the same, and a transaction
                    # left open would show this moment's catalogue for ever.
                    with suppress(sqlite3.OperationalError):
                        await self._connection.execute("ROLLBACK")

    async def find_imported(self, code_digest: bytes) -> int | None:
        """Return the serial of an imported code; see the port."""
        with as_store_errors("Looking an imported code up"):
            async with self._one_at_a_time:
                rows = await rows_of(self._connection, _IMPORTED, (code_digest,))
            return int(rows[0][0]) if rows else None

    async def _version(self) -> int:
        return int((await rows_of(self._connection, "SELECT version FROM catalogue_version"))[0][0])

    async def _read(self) -> Catalogue:
        read = self._connection
        version = await self._version()
        batches = await read_batches(read)
        self._events.take(await rows_of(read, _EVENTS, (self._events.last_id,)))
        checks = dict(await rows_of(read, KEY_CHECKS))
        return Catalogue.of(version=version, batches=batches, spans=self._events.spans(), key_checks=checks)


async def read_brands(read: aiosqlite.Connection) -> dict[int, Brand]:
    """Return every brand by id."""
    return brands_of(await rows_of(read, BRANDS))


async def read_products(read: aiosqlite.Connection) -> dict[int, Product]:
    """Return every product by id."""
    return products_of(await rows_of(read, PRODUCTS), await read_brands(read))


async def read_programmes(read: aiosqlite.Connection) -> dict[int, Programme]:
    """Return every label programme by id."""
    return programmes_of(await rows_of(read, PROGRAMMES))


async def read_batches(read: aiosqlite.Connection) -> list[CodeBatch]:
    """Return every batch, in the order of issue, with its present recall."""
    products, programmes = await read_products(read), await read_programmes(read)
    return batches_of(await rows_of(read, BATCHES), products, programmes)
