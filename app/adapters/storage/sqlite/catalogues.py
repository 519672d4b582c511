"""The catalogue on SQLite: a consistent snapshot for recognition, and look-ups of imported codes.

Label states are folded from their events; a batch without new events keeps its spans.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import aiosqlite

from app.adapters.storage.sqlite.database import as_store_errors
from app.adapters.storage.sqlite.rows import from_micros
from app.core.model.catalogue import Catalogue, StateEvent, spans_of
from app.core.model.label import (
    BatchId,
    Brand,
    BrandId,
    CodeBatch,
    Disclosure,
    LabelState,
    Product,
    ProductId,
    Programme,
    ProgrammeId,
    Serial,
    StateSpan,
    Thresholds,
)

BRANDS: Final = (
    "SELECT id, name, name_en, short_name, spoken_name, service_line, disclosure, threshold_genuine,"
    " threshold_warn FROM brand ORDER BY id"
)
PRODUCTS: Final = (
    "SELECT id, brand, name, name_en, short_name, spoken_name, gtin, picture_url, threshold_genuine, threshold_warn"
    " FROM product ORDER BY id"
)
PROGRAMMES: Final = "SELECT id, name, name_en, threshold_genuine, threshold_warn FROM programme ORDER BY id"
BATCHES: Final = (
    "SELECT b.id, b.product, b.programme, b.layout, b.digits, b.first_serial, b.last_serial, b.tag_key_id,"
    " b.url_prefix, b.issued_at, coalesce(r.recalled, 0), coalesce(r.reason, '') FROM batch b"
    " LEFT JOIN recall_event r ON r.id = (SELECT max(id) FROM recall_event WHERE batch = b.id) ORDER BY b.id"
)
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
        self._events: dict[BatchId, list[StateEvent]] = {}
        self._spans: dict[BatchId, tuple[StateSpan, ...]] = {}
        self._last_event = 0

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
        self._take(await rows_of(read, _EVENTS, (self._last_event,)))
        checks = dict(await rows_of(read, "SELECT name, value FROM key_check"))
        return Catalogue.of(version=version, batches=batches, spans=dict(self._spans), key_checks=checks)

    def _take(self, rows: Iterable[Any]) -> None:
        """Add new events and fold the batches they touch anew."""
        touched = set()
        for number, batch, first_serial, last_serial, state, reason, at in rows:
            event = StateEvent(
                id=number,
                batch_id=BatchId(batch),
                first_serial=first_serial,
                last_serial=last_serial,
                state=LabelState(state),
                at=from_micros(at),
                reason=reason,
            )
            self._events.setdefault(event.batch_id, []).append(event)
            touched.add(event.batch_id)
            self._last_event = number
        for batch_id in touched:
            self._spans[batch_id] = spans_of(self._events[batch_id])


async def read_brands(read: aiosqlite.Connection) -> dict[int, Brand]:
    """Return every brand by id."""
    brands = {}
    for row in await rows_of(read, BRANDS):
        number, name, name_en, short_name, spoken_name, service_line, disclosure, genuine, warn = row
        brands[number] = Brand(
            id=BrandId(number),
            name=name,
            name_en=name_en,
            short_name=short_name,
            spoken_name=spoken_name,
            service_line=service_line,
            disclosure=Disclosure(disclosure),
            thresholds=_thresholds(genuine, warn),
        )
    return brands


async def read_products(read: aiosqlite.Connection) -> dict[int, Product]:
    """Return every product by id."""
    brands = await read_brands(read)
    products = {}
    for row in await rows_of(read, PRODUCTS):
        number, brand, name, name_en, short_name, spoken_name, gtin, picture_url, genuine, warn = row
        products[number] = Product(
            id=ProductId(number),
            brand=brands[brand],
            name=name,
            name_en=name_en,
            short_name=short_name,
            spoken_name=spoken_name,
            gtin=gtin,
            picture_url=picture_url,
            thresholds=_thresholds(genuine, warn),
        )
    return products


async def read_programmes(read: aiosqlite.Connection) -> dict[int, Programme]:
    """Return every label programme by id."""
    return {
        number: Programme(
            id=ProgrammeId(number), name=name, name_en=name_en, thresholds=_thresholds(genuine, warn)
        )
        for number, name, name_en, genuine, warn in await rows_of(read, PROGRAMMES)
    }


async def read_batches(read: aiosqlite.Connection) -> list[CodeBatch]:
    """Return every batch, in the order of issue, with its present recall."""
    products, programmes = await read_products(read), await read_programmes(read)
    batches = []
    for row in await rows_of(read, BATCHES):
        number, product, programme, layout, digits, first, last, tag_key_id, prefix, at, recalled, reason = (
            row
        )
        batches.append(
            CodeBatch(
                id=BatchId(number),
                product=products[product],
                programme=programmes[programme] if programme is not None else None,
                layout=layout,
                digits=digits,
                first_serial=Serial(first),
                last_serial=Serial(last),
                tag_key_id=tag_key_id,
                url_prefix=prefix,
                issued_at=from_micros(at),
                recalled=bool(recalled),
                recall_reason=reason if recalled else "",
            )
        )
    return batches


def _thresholds(genuine: int | None, warn: int | None) -> Thresholds | None:
    return None if genuine is None or warn is None else Thresholds(genuine=genuine, warn=warn)
