"""The register of labels on SQLite: ``LabelRegistry``, each change one transaction that servers notice."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

import aiosqlite

from app.adapters.storage.catalogue_rows import thresholds_pair
from app.adapters.storage.rows import to_micros
from app.adapters.storage.sqlite.catalogues import (
    read_batches,
    read_brands,
    read_products,
    read_programmes,
    rows_of,
)
from app.adapters.storage.sqlite.database import as_store_errors
from app.core.errors import NotFound, RuleBroken
from app.core.model.label import (
    IMPORTED_LAYOUT,
    SERIALS_PER_LAYOUT,
    BatchId,
    Brand,
    BrandId,
    CodeBatch,
    Disclosure,
    Product,
    Programme,
    Thresholds,
)
from app.issuing.ports import BatchOrder, CodesTaken, ImportOrder, StateChange

T = TypeVar("T")

_IMPORT_RESERVE: Final = (
    10**9
)  # serials set aside for one import, so that it need not know its size beforehand
_CHUNK: Final = 5000
_NAMED: Final = 20

_TAKE_CODE: Final = (
    "INSERT INTO imported_code VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET serial = excluded.serial"
    " WHERE imported_code.serial < ? AND NOT EXISTS"  # inert rows of an earlier import that did not end
    " (SELECT 1 FROM batch WHERE imported_code.serial BETWEEN first_serial AND last_serial)"
)


class SqliteRegistry:
    """``LabelRegistry`` (contract in the port); one connection, used by one event loop."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._one_at_a_time = asyncio.Lock()

    async def add_brand(
        self,
        *,
        name: str,
        name_en: str = "",
        short_name: str = "",
        spoken_name: str = "",
        service_line: str = "",
        disclosure: Disclosure = Disclosure.FULL,
        thresholds: Thresholds | None = None,
    ) -> Brand:
        """Add a brand."""
        values = (
            name,
            name_en,
            short_name,
            spoken_name,
            service_line,
            disclosure.value,
            *thresholds_pair(thresholds),
        )
        columns = "name, name_en, short_name, spoken_name, service_line, disclosure"
        return await self._add("brand", columns, values, read_brands)

    async def add_product(
        self,
        *,
        brand_id: BrandId,
        name: str,
        name_en: str = "",
        short_name: str = "",
        spoken_name: str = "",
        gtin: str = "",
        picture_url: str = "",
        thresholds: Thresholds | None = None,
    ) -> Product:
        """Add a product to a brand."""
        await self._require("brand", brand_id)
        values = (
            brand_id,
            name,
            name_en,
            short_name,
            spoken_name,
            gtin,
            picture_url,
            *thresholds_pair(thresholds),
        )
        columns = "brand, name, name_en, short_name, spoken_name, gtin, picture_url"
        return await self._add("product", columns, values, read_products)

    async def add_programme(
        self, *, name: str, name_en: str = "", thresholds: Thresholds | None = None
    ) -> Programme:
        """Add a label programme."""
        values = (name, name_en, *thresholds_pair(thresholds))
        return await self._add("programme", "name, name_en", values, read_programmes)

    async def brands(self) -> Sequence[Brand]:
        """Return every brand."""
        return tuple((await self._reading(read_brands)).values())

    async def products(self) -> Sequence[Product]:
        """Return every product."""
        return tuple((await self._reading(read_products)).values())

    async def programmes(self) -> Sequence[Programme]:
        """Return every label programme."""
        return tuple((await self._reading(read_programmes)).values())

    async def batches(self) -> Sequence[CodeBatch]:
        """Return every batch in the order of issue."""
        return tuple(await self._reading(read_batches))

    async def batch(self, batch_id: BatchId) -> CodeBatch:
        """Return one batch, or raise ``NotFound``."""
        for batch in await self.batches():
            if batch.id == batch_id:
                return batch
        raise NotFound(f"There is no batch {batch_id}. `yanzhen batch list` shows the ids there are.")

    async def issued_count(self, layout: int) -> int:
        """Return how many labels of a layout are issued."""
        return await self._count("layout = ?", layout)

    async def imported_count(self, digits: int) -> int:
        """Return how many imported codes of one length there are."""
        return await self._count(f"layout = {IMPORTED_LAYOUT} AND digits = ?", digits)

    async def issue_batch(self, order: BatchOrder) -> CodeBatch:
        """Store one row and take the next serials of the layout; see the port."""
        await self._require("product", order.product_id)
        if order.programme_id is not None:
            await self._require("programme", order.programme_id)
        async with self._change("Issuing the batch") as write:
            issued = await self._counted(write, "layout = ?", order.layout)
            if issued + order.quantity > order.at_most:
                raise RuleBroken(
                    f"Layout {order.layout} may hold {order.at_most:,} labels and has {issued:,}."
                    " Use a longer layout (--layout 20 or 24)."
                )
            first = await self._take_serials(write, order.layout, order.quantity)
            batch_id = await _insert_batch(write, order, first, order.quantity)
        return await self.batch(batch_id)

    async def import_codes(self, order: ImportOrder, digests: AsyncIterable[Sequence[bytes]]) -> CodeBatch:
        """Store foreign codes; see the port. Rows of an import that failed stay, inert, until they are taken over."""
        await self._require("product", order.product_id)
        if order.programme_id is not None:
            await self._require("programme", order.programme_id)
        async with self._writing("Reserving serials") as write:
            first = await self._take_serials(write, IMPORTED_LAYOUT, _IMPORT_RESERVE)
        taken: list[int] = []
        count = 0
        async for chunk in digests:
            for start in range(0, len(chunk), _CHUNK):
                part = chunk[start : start + _CHUNK]
                if count + len(part) > min(order.at_most, _IMPORT_RESERVE):
                    raise RuleBroken(f"More codes of {order.digits} digits than the density gate allows.")
                async with self._writing("Importing codes") as write:
                    taken += await _store_codes(write, part, first, count)
                count += len(part)
        if taken:
            raise CodesTaken(taken[:_NAMED])
        if not count:
            raise RuleBroken("There is no code to import.")
        async with self._change("Publishing the import") as write:
            lost = await _taken_over(write, first, count)
            if lost:
                raise CodesTaken(lost)
            known = await self._counted(write, f"layout = {IMPORTED_LAYOUT} AND digits = ?", order.digits)
            if known + count > order.at_most:
                raise RuleBroken(f"More codes of {order.digits} digits than the density gate allows.")
            batch_id = await _insert_batch(write, order, first, count)
        return await self.batch(batch_id)

    async def change_states(self, changes: Sequence[StateChange], *, at: datetime) -> None:
        """Append range events; all or nothing."""
        batches = {batch.id: batch for batch in await self.batches()}
        for change in changes:
            batch = batches.get(change.batch_id)
            if batch is None:
                raise NotFound(
                    f"There is no batch {change.batch_id}. `yanzhen batch list` shows the ids there are."
                )
            if not batch.first_serial <= change.first_serial <= change.last_serial <= batch.last_serial:
                raise RuleBroken(
                    f"Serials {change.first_serial} to {change.last_serial} are not all in batch {batch.id},"
                    f" which holds {batch.first_serial} to {batch.last_serial}."
                )
        rows = [
            (c.batch_id, c.first_serial, c.last_serial, c.state.value, c.reason, to_micros(at))
            for c in changes
        ]
        sql = "INSERT INTO state_event (batch, first_serial, last_serial, state, reason, at) VALUES (?, ?, ?, ?, ?, ?)"
        async with self._change("Changing label states") as write:
            await write.executemany(sql, rows)

    async def set_recalled(self, batch_id: BatchId, *, recalled: bool, reason: str, at: datetime) -> None:
        """Recall a batch or lift its recall."""
        await self._require("batch", batch_id)
        async with self._change("Recording the recall") as write:
            row = (batch_id, int(recalled), reason, to_micros(at))
            await write.execute(
                "INSERT INTO recall_event (batch, recalled, reason, at) VALUES (?, ?, ?, ?)", row
            )

    async def put_key_checks(self, checks: Mapping[str, str]) -> None:
        """Store check values; see the port."""
        async with self._writing("Storing key check values") as write:
            known = dict(await rows_of(write, "SELECT name, value FROM key_check"))
            for name, value in checks.items():
                if known.get(name, value) != value:
                    raise RuleBroken(
                        f"Key {name} is not the one this database was made with. Restore the key file from its backup."
                    )
            new = [(name, value) for name, value in checks.items() if name not in known]
            if new:
                await write.executemany("INSERT INTO key_check VALUES (?, ?)", new)
                await _raise_version(write)

    # -- inside ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _writing(self, what: str) -> AsyncIterator[aiosqlite.Connection]:
        """One write transaction of this process at a time; rolled back on any error."""
        with as_store_errors(what):
            async with self._one_at_a_time:
                try:
                    await self._connection.execute("BEGIN IMMEDIATE")
                    yield self._connection
                    await self._connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.OperationalError):  # a cancelled BEGIN is carried out all the same
                        await self._connection.execute("ROLLBACK")
                    raise

    @asynccontextmanager
    async def _change(self, what: str) -> AsyncIterator[aiosqlite.Connection]:
        """A write transaction that running servers are to notice."""
        async with self._writing(what) as write:
            yield write
            await _raise_version(write)

    async def _reading(self, read: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        with as_store_errors("Reading the register"):
            async with self._one_at_a_time:
                return await read(self._connection)

    async def _add(
        self,
        table: str,
        columns: str,
        values: Sequence[Any],
        read: Callable[[aiosqlite.Connection], Awaitable[Mapping[int, T]]],
    ) -> T:
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({columns}, threshold_genuine, threshold_warn) VALUES ({marks})"  # noqa: S608
        async with self._change(f"Adding the {table}") as write:
            number = (await write.execute(sql, values)).lastrowid or 0
            return (await read(write))[number]

    async def _require(self, table: str, number: int) -> None:
        sql = f"SELECT 1 FROM {table} WHERE id = ?"  # noqa: S608 - our own table names
        with as_store_errors("Reading the register"):
            if not await rows_of(self._connection, sql, (number,)):
                raise NotFound(
                    f"There is no {table} {number}. `yanzhen {table} list` shows the ids there are."
                )

    async def _count(self, where: str, value: int) -> int:
        with as_store_errors("Counting labels"):
            return await self._counted(self._connection, where, value)

    @staticmethod
    async def _counted(read: aiosqlite.Connection, where: str, value: int) -> int:
        sql = f"SELECT coalesce(sum(last_serial - first_serial + 1), 0) FROM batch WHERE {where}"  # noqa: S608
        return int((await rows_of(read, sql, (value,)))[0][0])

    @staticmethod
    async def _take_serials(write: aiosqlite.Connection, layout: int, quantity: int) -> int:
        rows = await rows_of(write, "SELECT next FROM serial_counter WHERE layout = ?", (layout,))
        first = int(rows[0][0]) if rows else layout * SERIALS_PER_LAYOUT
        sql = (
            "INSERT INTO serial_counter VALUES (?, ?) ON CONFLICT (layout) DO UPDATE SET next = excluded.next"
        )
        await write.execute(sql, (layout, first + quantity))
        return first


async def _raise_version(write: aiosqlite.Connection) -> None:
    await write.execute("UPDATE catalogue_version SET version = version + 1")


async def _insert_batch(
    write: aiosqlite.Connection, order: BatchOrder | ImportOrder, first: int, quantity: int
) -> BatchId:
    layout, digits, tag_key_id = IMPORTED_LAYOUT, 0, None
    if isinstance(order, BatchOrder):
        layout, tag_key_id = order.layout, order.tag_key_id
    else:
        digits = order.digits
    row = (
        order.product_id,
        order.programme_id,
        layout,
        digits,
        first,
        first + quantity - 1,
        tag_key_id,
        order.url_prefix,
        to_micros(order.issued_at),
    )
    sql = (
        "INSERT INTO batch (product, programme, layout, digits, first_serial, last_serial, tag_key_id, url_prefix,"
        " issued_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    return BatchId((await write.execute(sql, row)).lastrowid or 0)


async def _store_codes(
    write: aiosqlite.Connection, digests: Sequence[bytes], first: int, done: int
) -> list[int]:
    """Store one chunk; return the 1-based positions of digests that another live code already has."""
    rows = [(digest, first + done + place, first) for place, digest in enumerate(digests)]
    changed = (await write.executemany(_TAKE_CODE, sorted(rows))).rowcount
    if changed == len(rows):
        return []
    taken = []
    for digest, serial, _ in rows:
        kept = (await rows_of(write, "SELECT serial FROM imported_code WHERE digest = ?", (digest,)))[0][0]
        if kept != serial:
            taken.append(serial - first + 1)
    return taken


async def _taken_over(write: aiosqlite.Connection, first: int, count: int) -> list[int]:
    """Return the 1-based positions, at most 20, of codes that an import begun after this one took over meanwhile.

    There are none unless serials were reserved since; only then are the rows counted, which reads the whole table.
    """
    rows = await rows_of(write, "SELECT next FROM serial_counter WHERE layout = ?", (IMPORTED_LAYOUT,))
    if rows[0][0] == first + _IMPORT_RESERVE:
        return []
    sql = "SELECT serial FROM imported_code WHERE serial BETWEEN ? AND ?"
    own = {row[0] for row in await rows_of(write, sql, (first, first + count - 1))}
    if len(own) == count:
        return []
    missing = (place + 1 for place in range(count) if first + place not in own)
    return list(islice(missing, _NAMED))
