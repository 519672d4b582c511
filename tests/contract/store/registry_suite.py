"""What every register of labels must do. Bind it by a subclass with the fixture ``stage``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from app.core.errors import NotFound, RuleBroken
from app.core.model.label import (
    IMPORTED_LAYOUT,
    SERIALS_PER_LAYOUT,
    BatchId,
    BrandId,
    Disclosure,
    LabelState,
    ProductId,
    ProgrammeId,
    Thresholds,
)
from app.issuing.ports import BatchOrder, CodesTaken, ImportOrder, StateChange
from tests.contract.store.stage import PER_BATCH, DurableStage
from tests.fakes.clock import START

ORDER = BatchOrder(
    product_id=ProductId(1),
    layout=20,
    quantity=50,
    at_most=10**9,
    tag_key_id=1,
    url_prefix="https://verify.example/q/",
    issued_at=START,
)
IMPORT = ImportOrder(product_id=ProductId(1), digits=18, at_most=10**6, url_prefix="", issued_at=START)


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def chunks(*lists: Sequence[int]) -> AsyncIterator[Sequence[bytes]]:
    for numbers in lists:
        yield [digest(number) for number in numbers]


class LabelRegistryContract:
    """Ids and versions, ranges and states, imports and keys."""

    async def test_what_is_added_is_listed_and_stays(self, stage: DurableStage) -> None:
        brand = await stage.registry.add_brand(
            name="海岸牧场",
            name_en="Coast",
            short_name="海岸",
            spoken_name="hǎi àn",
            service_line="400-800-1234",
            disclosure=Disclosure.MINIMAL,
            thresholds=Thresholds(genuine=2, warn=9),
        )
        product = await stage.registry.add_product(
            brand_id=brand.id,
            name="奶粉",
            gtin="06901234567892",
            picture_url="https://brand.example/p/1.jpg",
        )
        programme = await stage.registry.add_programme(
            name="质量月", thresholds=Thresholds(genuine=3, warn=3)
        )
        await stage.reopen()
        assert (await stage.registry.brands())[-1] == brand
        assert (await stage.registry.products())[-1] == product
        assert product.brand == brand
        assert (product.gtin, product.picture_url) == ("06901234567892", "https://brand.example/p/1.jpg")
        batch = await stage.registry.issue_batch(replace(ORDER, product_id=product.id))
        assert batch.summary.picture_url == product.picture_url
        assert await stage.registry.programmes() == (programme,)

    async def test_an_unknown_id_is_not_found_and_changes_nothing(self, stage: DurableStage) -> None:
        registry, version = stage.registry, await stage.catalogues.version()
        change = StateChange(batch_id=BatchId(99), first_serial=1, last_serial=1, state=LabelState.ACTIVE)
        for broken in (
            registry.add_product(brand_id=BrandId(99), name="x"),
            registry.issue_batch(replace(ORDER, product_id=ProductId(99))),
            registry.issue_batch(replace(ORDER, programme_id=ProgrammeId(99))),
            registry.import_codes(replace(IMPORT, product_id=ProductId(99)), chunks([1])),
            registry.import_codes(replace(IMPORT, programme_id=ProgrammeId(99)), chunks([1])),
            registry.batch(BatchId(99)),
            registry.change_states([change], at=START),
            registry.set_recalled(BatchId(99), recalled=True, reason="x", at=START),
        ):
            with pytest.raises(NotFound):
                await broken
        assert await stage.catalogues.version() == version

    async def test_every_change_raises_the_version(self, stage: DurableStage) -> None:
        registry = stage.registry
        batch = (await registry.batches())[0]
        change = StateChange(
            batch_id=batch.id,
            first_serial=batch.first_serial,
            last_serial=batch.last_serial,
            state=LabelState.EXPIRED,
        )
        version = await stage.catalogues.version()
        for done in (
            registry.add_brand(name="x"),
            registry.add_product(brand_id=BrandId(1), name="x"),
            registry.add_programme(name="x"),
            registry.issue_batch(ORDER),
            registry.import_codes(IMPORT, chunks([1])),
            registry.change_states([change], at=START),
            registry.set_recalled(batch.id, recalled=True, reason="x", at=START),
            registry.put_key_checks({"tag/9": "aa"}),
        ):
            await done
            later = await stage.catalogues.version()
            assert later > version
            version = later
        assert (await stage.catalogues.load()).version == version

    # -- issuing ---------------------------------------------------------------------------------------------

    async def test_batches_take_serials_one_after_another(self, stage: DurableStage) -> None:
        before = (await stage.registry.batches())[-1]
        issued = [await stage.registry.issue_batch(ORDER) for _ in range(2)]
        other = await stage.registry.issue_batch(replace(ORDER, layout=16))
        assert issued[0].first_serial == before.last_serial + 1
        assert issued[1].first_serial == issued[0].last_serial + 1
        assert (other.first_serial, other.layout) == (16 * SERIALS_PER_LAYOUT, 16)
        assert await stage.registry.batch(issued[0].id) == issued[0]
        assert await stage.registry.issued_count(20) == 2 * PER_BATCH + 100
        assert await stage.registry.issued_count(16) == 50
        assert (await stage.registry.batches())[-3:] == (*issued, other)

    async def test_orders_at_once_never_share_a_serial(self, stage: DurableStage) -> None:
        sides = (stage.registry, (await stage.other()).registry)
        batches = await asyncio.gather(*(sides[turn % 2].issue_batch(ORDER) for turn in range(12)))
        ranges = sorted((batch.first_serial, batch.last_serial) for batch in batches)
        assert all(last < first for (_, last), (first, _) in itertools.pairwise(ranges))
        assert len({batch.id for batch in batches}) == 12

    async def test_the_density_gate_holds_to_the_last_label(self, stage: DurableStage) -> None:
        room = replace(ORDER, at_most=2 * PER_BATCH + 60)
        await stage.registry.issue_batch(room)
        with pytest.raises(RuleBroken):
            await stage.registry.issue_batch(replace(room, quantity=11))
        await stage.registry.issue_batch(replace(room, quantity=10))
        assert await stage.registry.issued_count(20) == room.at_most

    async def test_a_billion_labels_are_one_row(self, stage: DurableStage) -> None:
        batch = await stage.registry.issue_batch(replace(ORDER, quantity=10**9, at_most=10**11))
        catalogue = await stage.catalogues.load()
        assert catalogue.batch_of(batch.last_serial) == batch
        assert catalogue.batch_of(batch.last_serial + 1) is None

    # -- states ----------------------------------------------------------------------------------------------

    async def test_changes_outside_a_batch_are_refused_whole(self, stage: DurableStage) -> None:
        batch = (await stage.registry.batches())[0]
        before = await stage.catalogues.load()
        good = StateChange(
            batch_id=batch.id,
            first_serial=batch.first_serial,
            last_serial=batch.first_serial,
            state=LabelState.EXPIRED,
        )
        for bad in (
            replace(good, last_serial=batch.last_serial + 1),
            replace(good, first_serial=batch.first_serial - 1),
            replace(good, first_serial=batch.first_serial + 1),
        ):
            with pytest.raises(RuleBroken):
                await stage.registry.change_states([good, bad], at=START)
        assert await stage.catalogues.load() == before

    async def test_a_state_carries_its_time_and_reason(self, stage: DurableStage) -> None:
        batch = (await stage.registry.batches())[0]
        serial = batch.first_serial + 3
        change = StateChange(
            batch_id=batch.id, first_serial=serial, last_serial=serial, state=LabelState.VOIDED, reason="被盗"
        )
        await stage.registry.change_states([change], at=START)
        catalogue = await stage.catalogues.load()
        label = catalogue.label(serial, batch)
        assert (label.state, label.state_at, label.reason) == (LabelState.VOIDED, START, "被盗")
        assert catalogue.label(serial + 1, batch).state is LabelState.ACTIVE

    async def test_a_recall_carries_its_reason_until_it_is_lifted(self, stage: DurableStage) -> None:
        batch = (await stage.registry.batches())[0]
        await stage.registry.set_recalled(batch.id, recalled=True, reason="玻璃碎片", at=START)
        recalled = await stage.registry.batch(batch.id)
        assert (recalled.recalled, recalled.recall_reason) == (True, "玻璃碎片")
        await stage.registry.set_recalled(batch.id, recalled=False, reason="查明无碍", at=START)
        assert await stage.registry.batch(batch.id) == batch

    # -- imports ---------------------------------------------------------------------------------------------

    async def test_imported_codes_are_found_in_the_reserved_range(self, stage: DurableStage) -> None:
        batch = await stage.registry.import_codes(IMPORT, chunks([7, 5], [6]))
        assert batch.first_serial >= IMPORTED_LAYOUT * SERIALS_PER_LAYOUT
        assert batch.last_serial == batch.first_serial + 2
        found = [await stage.catalogues.find_imported(digest(number)) for number in (7, 5, 6)]
        assert found == [batch.first_serial, batch.first_serial + 1, batch.first_serial + 2]
        assert await stage.catalogues.find_imported(digest(8)) is None
        assert await stage.registry.imported_count(18) == 3
        assert await stage.registry.imported_count(17) == 0
        catalogue = await stage.catalogues.load()
        assert catalogue.imported_lengths == {18}
        second = await stage.registry.import_codes(IMPORT, chunks([9]))
        assert second.first_serial > batch.last_serial

    async def test_codes_known_before_are_named_by_their_place(self, stage: DurableStage) -> None:
        await stage.registry.import_codes(IMPORT, chunks([1, 2, 3]))
        version = await stage.catalogues.version()
        for lists, places in ((([10, 2, 11], [3]), (2, 4)), (([20, 21], [20]), (3,)), (([30, 30],), (2,))):
            with pytest.raises(CodesTaken) as taken:
                await stage.registry.import_codes(IMPORT, chunks(*lists))
            assert taken.value.positions == places
        assert await stage.catalogues.version() == version
        assert await stage.registry.imported_count(18) == 3

    async def test_an_import_that_failed_shows_nothing_and_blocks_nothing(self, stage: DurableStage) -> None:
        async def broken() -> AsyncIterator[Sequence[bytes]]:
            yield [digest(1), digest(2)]
            raise KeyError("the list ended too soon")

        before = await stage.catalogues.load()
        with pytest.raises(KeyError, match="too soon"):
            await stage.registry.import_codes(IMPORT, broken())
        assert await stage.catalogues.load() == before
        batch = await stage.registry.import_codes(IMPORT, chunks([2, 1]))
        assert await stage.catalogues.find_imported(digest(2)) == batch.first_serial

    async def test_nothing_is_visible_before_the_last_chunk_and_others_go_on(
        self, stage: DurableStage
    ) -> None:
        before = await stage.catalogues.load()
        seen = []

        async def watched() -> AsyncIterator[Sequence[bytes]]:
            for number in range(3):
                yield [digest(number)]
                seen.append(await stage.catalogues.load() == before)
                await stage.store.check()

        await stage.registry.import_codes(IMPORT, watched())
        assert seen == [True, True, True]
        assert (await stage.catalogues.load()).version > before.version

    async def test_two_imports_of_one_list_at_once_do_not_both_succeed(self, stage: DurableStage) -> None:
        other = (await stage.other()).registry
        done: list[str] = []

        async def interrupted() -> AsyncIterator[Sequence[bytes]]:
            yield [digest(number) for number in range(10)]
            try:
                await other.import_codes(IMPORT, chunks(range(10)))
            except CodesTaken:
                return
            done.append("the other")

        try:
            await stage.registry.import_codes(IMPORT, interrupted())
        except CodesTaken:
            pass
        else:
            done.append("this one")
        assert len(done) == 1
        catalogue = await stage.catalogues.load()
        for number in range(10):
            serial = await stage.catalogues.find_imported(digest(number))
            assert serial is not None
            assert catalogue.batch_of(serial) is not None

    async def test_imports_stay_within_the_density_gate(self, stage: DurableStage) -> None:
        few = replace(IMPORT, at_most=4)
        with pytest.raises(RuleBroken):
            await stage.registry.import_codes(few, chunks([1, 2, 3], [4, 5]))
        assert await stage.registry.imported_count(18) == 0
        await stage.registry.import_codes(few, chunks([1, 2, 3]))
        with pytest.raises(RuleBroken):
            await stage.registry.import_codes(few, chunks([4, 5]))
        with pytest.raises(RuleBroken):
            await stage.registry.import_codes(few, chunks())
        await stage.registry.import_codes(few, chunks([4]))

    # -- keys ------------------------------------------------------------------------------------------------

    async def test_a_key_never_changes_under_its_name(self, stage: DurableStage) -> None:
        await stage.registry.put_key_checks({"tag/1": "aa", "permutation/20": "bb"})
        version = await stage.catalogues.version()
        await stage.registry.put_key_checks({"tag/1": "aa"})
        assert await stage.catalogues.version() == version
        with pytest.raises(RuleBroken):
            await stage.registry.put_key_checks({"tag/2": "cc", "tag/1": "ab"})
        await stage.registry.put_key_checks({"tag/2": "cc"})
        checks = (await stage.catalogues.load()).key_checks
        assert dict(checks) == {"tag/1": "aa", "tag/2": "cc", "permutation/20": "bb"}
