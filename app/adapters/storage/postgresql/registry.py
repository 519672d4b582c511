"""The register of labels on PostgreSQL: ``LabelRegistry``, each change one transaction that servers notice."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

from app.adapters.storage.catalogue_rows import thresholds_pair
from app.adapters.storage.postgresql.catalogues import (
    read_batches,
    read_brands,
    read_products,
    read_programmes,
)
from app.adapters.storage.postgresql.connections import Connections
from app.adapters.storage.postgresql.driver import Connection
from app.adapters.storage.postgresql.imports import IMPORT_RESERVE, store_codes, taken_over
from app.adapters.storage.rows import to_micros
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

_CHUNK: Final = 5000
_NAMED: Final = 20
# recordings hold this lock together; a change waits for those under way and keeps new ones back until its commit
_CATALOGUE_LOCK: Final = "SELECT pg_advisory_xact_lock(7956010260001)"
_TAKE_SERIALS: Final = (
    "INSERT INTO serial_counter AS c VALUES ($1, $2::bigint + $3::bigint) ON CONFLICT (layout)"
    " DO UPDATE SET next = c.next + $3::bigint RETURNING next - $3::bigint"
)
_INSERT_BATCH: Final = (
    "INSERT INTO batch (product, programme, layout, digits, first_serial, last_serial, tag_key_id, url_prefix,"
    " issued_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id"
)
# the rows of an unnest come in its order, and so do their ids
_INSERT_EVENTS: Final = (
    "INSERT INTO state_event (batch, first_serial, last_serial, state, reason, at) SELECT *, $6::bigint"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])"
)


class PostgresqlRegistry:
    """``LabelRegistry`` (contract in the port)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

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
        values = {
            "name": name,
            "name_en": name_en,
            "short_name": short_name,
            "spoken_name": spoken_name,
            "service_line": service_line,
            "disclosure": disclosure.value,
        }
        return await self._add("brand", values, thresholds, read_brands)

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
        values = {
            "brand": brand_id,
            "name": name,
            "name_en": name_en,
            "short_name": short_name,
            "spoken_name": spoken_name,
            "gtin": gtin,
            "picture_url": picture_url,
        }
        return await self._add("product", values, thresholds, read_products)

    async def add_programme(
        self, *, name: str, name_en: str = "", thresholds: Thresholds | None = None
    ) -> Programme:
        """Add a label programme."""
        return await self._add("programme", {"name": name, "name_en": name_en}, thresholds, read_programmes)

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
        async with self._connections.connection("Counting labels") as read:
            return await _issued(read, layout)

    async def imported_count(self, digits: int) -> int:
        """Return how many imported codes of one length there are."""
        async with self._connections.connection("Counting labels") as read:
            return await _imported(read, digits)

    async def issue_batch(self, order: BatchOrder) -> CodeBatch:
        """Store one row and take the next serials of the layout; see the port."""
        await self._require("product", order.product_id)
        if order.programme_id is not None:
            await self._require("programme", order.programme_id)
        async with self._change("Issuing the batch") as write:
            issued = await _issued(write, order.layout)
            if issued + order.quantity > order.at_most:
                raise RuleBroken(
                    f"Layout {order.layout} may hold {order.at_most:,} labels and has {issued:,}."
                    " Use a longer layout (--layout 20 or 24)."
                )
            first = await _take_serials(write, order.layout, order.quantity)
            batch_id = await _insert_batch(write, order, first, order.quantity)
        return await self.batch(batch_id)

    async def import_codes(self, order: ImportOrder, digests: AsyncIterable[Sequence[bytes]]) -> CodeBatch:
        """Store foreign codes; see the port. Rows of an import that failed stay, inert, until they are taken over."""
        await self._require("product", order.product_id)
        if order.programme_id is not None:
            await self._require("programme", order.programme_id)
        async with self._connections.transaction("Reserving serials") as write:
            first = await _take_serials(write, IMPORTED_LAYOUT, IMPORT_RESERVE)
        taken: list[int] = []
        count = 0
        async for chunk in digests:
            for start in range(0, len(chunk), _CHUNK):
                part = chunk[start : start + _CHUNK]
                if count + len(part) > min(order.at_most, IMPORT_RESERVE):
                    raise RuleBroken(f"More codes of {order.digits} digits than the density gate allows.")
                async with self._connections.transaction("Importing codes") as write:
                    taken += await store_codes(write, part, first, count)
                count += len(part)
        if taken:
            raise CodesTaken(sorted(taken)[:_NAMED])
        if not count:
            raise RuleBroken("There is no code to import.")
        async with self._connections.transaction("Publishing the import") as write:
            lost = await taken_over(write, first, count, named=_NAMED)
            if lost:
                raise CodesTaken(lost)
            await write.execute(_CATALOGUE_LOCK)
            if await _imported(write, order.digits) + count > order.at_most:
                raise RuleBroken(f"More codes of {order.digits} digits than the density gate allows.")
            batch_id = await _insert_batch(write, order, first, count)
            await _raise_version(write)
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
        columns = (
            [change.batch_id for change in changes],
            [change.first_serial for change in changes],
            [change.last_serial for change in changes],
            [change.state.value for change in changes],
            [change.reason for change in changes],
        )
        async with self._change("Changing label states") as write:
            await write.execute(_INSERT_EVENTS, *columns, to_micros(at))

    async def set_recalled(self, batch_id: BatchId, *, recalled: bool, reason: str, at: datetime) -> None:
        """Recall a batch or lift its recall."""
        await self._require("batch", batch_id)
        sql = "INSERT INTO recall_event (batch, recalled, reason, at) VALUES ($1, $2, $3, $4)"
        async with self._change("Recording the recall") as write:
            await write.execute(sql, batch_id, int(recalled), reason, to_micros(at))

    async def put_key_checks(self, checks: Mapping[str, str]) -> None:
        """Store check values; see the port."""
        async with self._connections.transaction("Storing key check values") as write:
            await write.execute(_CATALOGUE_LOCK)
            known = dict(await write.fetch("SELECT name, value FROM key_check"))
            for name, value in checks.items():
                if known.get(name, value) != value:
                    raise RuleBroken(
                        f"Key {name} is not the one this database was made with. Restore the key file from its backup."
                    )
            new = [(name, value) for name, value in checks.items() if name not in known]
            if new:
                await write.executemany("INSERT INTO key_check VALUES ($1, $2)", new)
                await _raise_version(write)

    # -- inside ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _change(self, what: str) -> AsyncIterator[Connection]:
        """A transaction that running servers are to notice: no verification is recorded meanwhile."""
        async with self._connections.transaction(what) as write:
            await write.execute(_CATALOGUE_LOCK)
            yield write
            await _raise_version(write)

    async def _reading(self, read: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._connections.transaction(
            "Reading the register", isolation="repeatable_read", readonly=True
        ) as connection:
            return await read(connection)

    async def _add(
        self,
        table: str,
        values: Mapping[str, Any],
        thresholds: Thresholds | None,
        read: Callable[[Connection], Awaitable[Mapping[int, T]]],
    ) -> T:
        row = [*values.values(), *thresholds_pair(thresholds)]
        marks = ", ".join(f"${place + 1}" for place in range(len(row)))
        columns = ", ".join([*values, "threshold_genuine", "threshold_warn"])
        sql = f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id"  # noqa: S608 - our own names
        async with self._change(f"Adding the {table}") as write:
            number = await write.fetchval(sql, *row)
            return (await read(write))[number]

    async def _require(self, table: str, number: int) -> None:
        sql = f"SELECT 1 FROM {table} WHERE id = $1"  # noqa: S608 - our own table names
        if not await self._connections.rows("Reading the register", sql, number):
            raise NotFound(f"There is no {table} {number}. `yanzhen {table} list` shows the ids there are.")


async def _raise_version(write: Connection) -> None:
    await write.execute("UPDATE catalogue_version SET version = version + 1")


async def _issued(read: Connection, layout: int) -> int:
    sql = "SELECT coalesce(sum(last_serial - first_serial + 1), 0)::bigint FROM batch WHERE layout = $1"
    return int(await read.fetchval(sql, layout))


async def _imported(read: Connection, digits: int) -> int:
    sql = (
        "SELECT coalesce(sum(last_serial - first_serial + 1), 0)::bigint FROM batch"
        " WHERE layout = $1 AND digits = $2"
    )
    return int(await read.fetchval(sql, IMPORTED_LAYOUT, digits))


async def _take_serials(write: Connection, layout: int, quantity: int) -> int:
    return int(await write.fetchval(_TAKE_SERIALS, layout, layout * SERIALS_PER_LAYOUT, quantity))


async def _insert_batch(
    write: Connection, order: BatchOrder | ImportOrder, first: int, quantity: int
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
    return BatchId(await write.fetchval(_INSERT_BATCH, *row))
