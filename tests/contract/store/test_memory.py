from __future__ import annotations

import pytest

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
    Serial,
)
from tests.contract.store.stage import ISSUED_FROM, PER_BATCH, VOIDED_FROM
from tests.contract.store.suite import VerificationStoreContract, asking
from tests.fakes.clock import START
from tests.fakes.memory_store import MemoryStore

__all__ = ["asking"]


def _batch(number: int, *, recalled: bool = False) -> CodeBatch:
    disclosure = Disclosure.MINIMAL if number else Disclosure.FULL
    brand = Brand(id=BrandId(number + 1), name="青禾", disclosure=disclosure)
    first = 20 * 10**15 + number * PER_BATCH
    return CodeBatch(
        id=BatchId(number + 1),
        product=Product(id=ProductId(number + 1), brand=brand, name="奶粉"),
        programme=None,
        layout=20,
        first_serial=Serial(first),
        last_serial=Serial(first + PER_BATCH - 1),
        tag_key_id=1,
        url_prefix="",
        issued_at=START,
        recalled=recalled,
    )


class MemoryStage:
    """The in-memory record, with changes of its catalogue made by hand."""

    def __init__(self) -> None:
        self.events: list[StateEvent] = []
        self.recalled = [False, False]
        self.store = self.catalogues = MemoryStore(Catalogue(version=0))
        for batch in range(2):
            self._append(batch, 0, ISSUED_FROM - 1, LabelState.ACTIVE)
            self._append(batch, VOIDED_FROM, PER_BATCH - 1, LabelState.VOIDED)

    async def change(self, batch: int, first: int, last: int, state: LabelState) -> None:
        self._append(batch, first, last, state)

    async def recall(self, batch: int, *, lift: bool = False) -> None:
        self.recalled[batch] = not lift
        self._publish()

    def _append(self, batch: int, first: int, last: int, state: LabelState) -> None:
        start = 20 * 10**15 + batch * PER_BATCH
        number = len(self.events) + 1
        event = StateEvent(
            id=number,
            batch_id=BatchId(batch + 1),
            first_serial=start + first,
            last_serial=start + last,
            state=state,
            at=START,
        )
        self.events.append(event)
        self._publish()

    def _publish(self) -> None:
        batches = [_batch(number, recalled=self.recalled[number]) for number in range(2)]
        spans = {b.id: spans_of(e for e in self.events if e.batch_id == b.id) for b in batches}
        self.store.catalogue = Catalogue.of(
            version=self.store.catalogue.version + 1, batches=batches, spans=spans
        )


class TestMemoryStore(VerificationStoreContract):
    @pytest.fixture
    def stage(self) -> MemoryStage:
        return MemoryStage()
