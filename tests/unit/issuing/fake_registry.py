"""A label registry and catalogue in memory, keeping the promises of their ports for the tests of issuing."""

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.core.errors import NotFound, RuleBroken
from app.core.model.catalogue import Catalogue, StateEvent, spans_of
from app.core.model.label import (
    IMPORTED_LAYOUT,
    SERIALS_PER_LAYOUT,
    BatchId,
    Brand,
    BrandId,
    CodeBatch,
    Disclosure,
    Product,
    ProductId,
    Programme,
    ProgrammeId,
    Serial,
    Thresholds,
)
from app.issuing.ports import BatchOrder, CodesTaken, ImportOrder, StateChange


class FakeLabelRegistry:
    """Implements `LabelRegistry` and `CatalogueStore`."""

    def __init__(self) -> None:
        self.changes: list[StateChange] = []
        self.recalls: list[tuple[BatchId, bool, str]] = []
        self.key_checks: dict[str, str] = {}
        self.counts: dict[int, int] = {}  # labels issued long ago, by layout
        self.batches_by_id: dict[BatchId, CodeBatch] = {}
        self.events: list[StateEvent] = []
        self.imported: dict[bytes, int] = {}
        self._brands: list[Brand] = []
        self._products: list[Product] = []
        self._programmes: list[Programme] = []

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
        self._brands.append(Brand(id=BrandId(len(self._brands) + 1), name=name))
        return self._brands[-1]

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
        brand = next(brand for brand in self._brands if brand.id == brand_id)
        self._products.append(Product(id=ProductId(len(self._products) + 1), brand=brand, name=name))
        return self._products[-1]

    async def add_programme(
        self, *, name: str, name_en: str = "", thresholds: Thresholds | None = None
    ) -> Programme:
        self._programmes.append(Programme(id=ProgrammeId(len(self._programmes) + 1), name=name))
        return self._programmes[-1]

    async def brands(self) -> Sequence[Brand]:
        return tuple(self._brands)

    async def products(self) -> Sequence[Product]:
        return tuple(self._products)

    async def issued_count(self, layout: int) -> int:
        own = [batch for batch in self.batches_by_id.values() if batch.layout == layout]
        return self.counts.get(layout, 0) + sum(batch.last_serial - batch.first_serial + 1 for batch in own)

    async def imported_count(self, digits: int) -> int:
        found = [batch for batch in self.batches_by_id.values() if batch.imported and batch.digits == digits]
        return sum(batch.last_serial - batch.first_serial + 1 for batch in found)

    async def issue_batch(self, order: BatchOrder) -> CodeBatch:
        issued = await self.issued_count(order.layout)
        if issued + order.quantity > order.at_most:
            raise RuleBroken("too dense")
        first = order.layout * SERIALS_PER_LAYOUT + issued
        return self._store(order, order.layout, order.layout, first, order.quantity, order.tag_key_id)

    async def import_codes(self, order: ImportOrder, digests: AsyncIterable[Sequence[bytes]]) -> CodeBatch:
        taken: list[int] = []
        new: list[bytes] = []
        async for chunk in digests:
            for digest in chunk:
                new.append(digest)
                if digest in self.imported:
                    taken.append(len(new))
        if taken:
            raise CodesTaken(taken[:20])
        first = IMPORTED_LAYOUT * SERIALS_PER_LAYOUT + len(self.imported)
        self.imported.update((digest, first + index) for index, digest in enumerate(new))
        return self._store(order, IMPORTED_LAYOUT, order.digits, first, len(new), None)

    def _store(
        self,
        order: BatchOrder | ImportOrder,
        layout: int,
        digits: int,
        first: int,
        count: int,
        key: int | None,
    ) -> CodeBatch:
        product = next((product for product in self._products if product.id == order.product_id), None)
        if product is None:
            raise NotFound("no such product")
        batch = CodeBatch(
            id=BatchId(len(self.batches_by_id) + 1),
            product=product,
            programme=None,
            layout=layout,
            digits=digits,
            first_serial=Serial(first),
            last_serial=Serial(first + count - 1),
            tag_key_id=key,
            url_prefix=order.url_prefix,
            issued_at=order.issued_at,
        )
        self.batches_by_id[batch.id] = batch
        return batch

    async def batch(self, batch_id: BatchId) -> CodeBatch:
        try:
            return self.batches_by_id[batch_id]
        except KeyError:
            raise NotFound("no such batch") from None

    async def batches(self) -> Sequence[CodeBatch]:
        return tuple(self.batches_by_id.values())

    async def change_states(self, changes: Sequence[StateChange], *, at: datetime) -> None:
        self.changes += changes
        for change in changes:
            self.events.append(
                StateEvent(
                    id=len(self.events) + 1,
                    batch_id=change.batch_id,
                    first_serial=change.first_serial,
                    last_serial=change.last_serial,
                    state=change.state,
                    at=at,
                    reason=change.reason,
                )
            )

    async def set_recalled(self, batch_id: BatchId, *, recalled: bool, reason: str, at: datetime) -> None:
        batch = await self.batch(batch_id)
        self.recalls.append((batch_id, recalled, reason))
        self.batches_by_id[batch_id] = replace(batch, recalled=recalled, recall_reason=reason)

    async def put_key_checks(self, checks: Mapping[str, str]) -> None:
        if any(self.key_checks.get(name, value) != value for name, value in checks.items()):
            raise RuleBroken("another key")
        self.key_checks |= checks

    async def load(self) -> Catalogue:
        ids = {event.batch_id for event in self.events}
        return Catalogue.of(
            version=1,
            batches=self.batches_by_id.values(),
            spans={one: spans_of(event for event in self.events if event.batch_id == one) for one in ids},
            key_checks=self.key_checks,
        )

    async def version(self) -> int:
        return 1

    async def find_imported(self, code_digest: bytes) -> int | None:
        return self.imported.get(code_digest)
