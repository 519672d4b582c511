"""What every catalogue must do that several processes read. Bind it by a subclass with the fixture ``open_catalogues``.

``catalogue_of`` makes catalogues with everything in them that one can hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.errors import StoreUnavailable
from app.core.model.catalogue import Catalogue, StateEvent, spans_of
from app.core.model.label import (
    IMPORTED_LAYOUT,
    SERIALS_PER_LAYOUT,
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
    Thresholds,
)
from app.core.ports.verifications import CatalogueStore
from tests.fakes.clock import START
from tests.fakes.editioned_memory import EditionedMemory

PER_BATCH = 1000
OpenCatalogues = Callable[[], CatalogueStore]

_RULE = Thresholds(genuine=2, warn=9)
_BRANDS = (
    Brand(id=BrandId(1), name="青禾", short_name="青禾", service_line="400-000-0000"),
    Brand(id=BrandId(7), name="云岭", name_en="Yunling", disclosure=Disclosure.MINIMAL, thresholds=_RULE),
)
_PRODUCTS = (
    Product(id=ProductId(1), brand=_BRANDS[0], name="奶粉", gtin="06901234567892", thresholds=_RULE),
    Product(id=ProductId(2), brand=_BRANDS[1], name="茶", spoken_name="云岭茶", picture_url="https://a.cn/1"),
)
_PROGRAMMES = (None, Programme(id=ProgrammeId(1), name="溯源", name_en="Traced", thresholds=_RULE))


def catalogue_of(version: int, *, batches: int = 70, recalled: int | None = None) -> Catalogue:
    """A catalogue of ``batches``, every tenth of them imported and every third with states of its own."""
    made = [_batch(number, recalled=number == recalled) for number in range(1, batches + 1)]
    spans = {batch.id: spans_of(_events(batch)) for batch in made if batch.id % 3 == 0}
    checks = {"tag/1": "aa", "permutation/20": "bb"}
    return Catalogue.of(version=version, batches=made, spans=spans, key_checks=checks)


def _batch(number: int, *, recalled: bool) -> CodeBatch:
    imported = number % 10 == 0
    layout = IMPORTED_LAYOUT if imported else (16, 20, 24)[number % 3]
    first = layout * SERIALS_PER_LAYOUT + number * PER_BATCH
    return CodeBatch(
        id=BatchId(number),
        product=_PRODUCTS[number % 2],
        programme=_PROGRAMMES[number % 2],
        layout=layout,
        digits=18 if imported else 0,
        first_serial=Serial(first),
        last_serial=Serial(first + PER_BATCH - 1),
        tag_key_id=None if imported else 1,
        url_prefix="https://v.example.cn/",
        issued_at=START + timedelta(microseconds=number),
        recalled=recalled,
        recall_reason="玻璃碎片" if recalled else "",
    )


def _events(batch: CodeBatch) -> list[StateEvent]:
    first = batch.first_serial
    changes = ((0, 499, LabelState.ACTIVE, ""), (20, 29, LabelState.VOIDED, "被盗"))
    return [
        StateEvent(
            id=number,
            batch_id=batch.id,
            first_serial=first + start,
            last_serial=first + end,
            state=state,
            at=START,
            reason=reason,
        )
        for number, (start, end, state, reason) in enumerate(changes, start=1)
    ]


def same(one: Catalogue, other: Catalogue) -> bool:
    """Tell whether two catalogues answer alike; equal in every field, key order aside."""
    return one == replace(other, spans=dict(other.spans), key_checks=dict(other.key_checks))


class CatalogueContract:
    """``open_catalogues`` opens what one process sees of ``store``."""

    @pytest.fixture
    def store(self) -> EditionedMemory:
        return EditionedMemory(catalogue_of(5))

    async def test_a_snapshot_is_whole(self, store: EditionedMemory, open_catalogues: OpenCatalogues) -> None:
        for _ in range(3):
            process = open_catalogues()
            for _ in range(2):
                assert same(await process.load(), catalogue_of(5))
            assert await process.version() == 5

    async def test_a_change_shows_in_every_process_at_once(
        self, store: EditionedMemory, open_catalogues: OpenCatalogues
    ) -> None:
        processes = [open_catalogues() for _ in range(3)]
        before = [await process.load() for process in processes]
        for version, recalled in ((6, 40), (7, None), (8, 1)):
            store.become(catalogue_of(version, recalled=recalled))
            for process in processes:
                assert await process.version() == version
                assert same(await process.load(), catalogue_of(version, recalled=recalled))
        assert all(same(one, catalogue_of(5)) for one in before)

    async def test_new_names_and_new_batches_show(
        self, store: EditionedMemory, open_catalogues: OpenCatalogues
    ) -> None:
        processes = [open_catalogues() for _ in range(2)]
        for process in processes:
            await process.load()
        renamed = replace(_PRODUCTS[1], name="新茶")
        grown = catalogue_of(6, batches=60)
        batches = [
            replace(batch, product=renamed) if batch.product.id == renamed.id else batch
            for batch in grown.batches
        ]
        changed = Catalogue.of(version=6, batches=batches, spans=grown.spans, key_checks={"tag/2": "cc"})
        store.become(changed)
        for process in (*processes, open_catalogues()):
            assert same(await process.load(), changed)

    async def test_a_restored_database_is_not_taken_for_its_own_future(
        self, store: EditionedMemory, open_catalogues: OpenCatalogues
    ) -> None:
        process = open_catalogues()
        store.become(catalogue_of(6))
        await process.load()
        store.become(catalogue_of(5))
        assert same(await process.load(), catalogue_of(5))
        store.become(catalogue_of(6, recalled=3))
        for one in (process, open_catalogues()):
            assert same(await one.load(), catalogue_of(6, recalled=3))

    async def test_an_empty_catalogue_is_one(
        self, store: EditionedMemory, open_catalogues: OpenCatalogues
    ) -> None:
        store.become(Catalogue.of(version=1, batches=()))
        for process in (open_catalogues(), open_catalogues()):
            assert same(await process.load(), Catalogue.of(version=1, batches=()))

    async def test_imported_codes_are_found(
        self, store: EditionedMemory, open_catalogues: OpenCatalogues
    ) -> None:
        store.imported[b"d" * 16] = 77
        process = open_catalogues()
        assert await process.find_imported(b"d" * 16) == 77
        assert await process.find_imported(b"e" * 16) is None

    async def test_without_the_store_nothing_is_told(
        self, store: EditionedMemory, open_catalogues: OpenCatalogues
    ) -> None:
        process = open_catalogues()
        await process.load()
        store.down = True
        for one in (process, open_catalogues()):
            with pytest.raises(StoreUnavailable):
                await one.load()
            with pytest.raises(StoreUnavailable):
                await one.version()
