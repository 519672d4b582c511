"""What issuing needs of the store: the register of brands, products, batches, label states and imported codes."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.core.errors import RuleBroken
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
    Thresholds,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """A print order for ``quantity`` labels; ``at_most`` is how many the layout may hold in all (density gate)."""

    product_id: ProductId
    programme_id: ProgrammeId | None = None
    layout: int
    quantity: int
    at_most: int
    tag_key_id: int
    url_prefix: str
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOrder:
    """Codes of another system, all of ``digits`` digits; ``at_most`` as in :class:`BatchOrder`, per length."""

    product_id: ProductId
    programme_id: ProgrammeId | None = None
    digits: int
    at_most: int
    url_prefix: str
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """One new range event of a batch; the range must lie within the batch."""

    batch_id: BatchId
    first_serial: int
    last_serial: int
    state: LabelState
    reason: str = ""


class CodesTaken(RuleBroken):
    """Some of these codes were imported before, so nothing was imported. Leave them out of the list.

    ``positions`` are 1-based positions in the stream of digests, at most 20.
    """

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = tuple(positions)
        super().__init__(f"Codes at positions {', '.join(map(str, self.positions))} were imported before.")


class LabelRegistry(Protocol):
    """Promises: every method is one transaction, durable when it returns, and raises the catalogue's version, so a
    running server follows from the next commit. Unknown ids raise ``NotFound``; a broken rule ``RuleBroken``;
    a store that cannot write ``StoreUnavailable``, and then nothing was changed.
    """

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
    ) -> Brand: ...

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
    ) -> Product: ...

    async def add_programme(
        self, *, name: str, name_en: str = "", thresholds: Thresholds | None = None
    ) -> Programme: ...

    async def brands(self) -> Sequence[Brand]: ...

    async def products(self) -> Sequence[Product]: ...

    async def programmes(self) -> Sequence[Programme]: ...

    async def issue_batch(self, order: BatchOrder) -> CodeBatch:
        """Store one row and take the next free serials of the layout. ``RuleBroken`` beyond ``at_most``."""
        ...

    async def issued_count(self, layout: int) -> int:
        """Return how many labels of a layout are issued over all brands."""
        ...

    async def imported_count(self, digits: int) -> int:
        """Return how many imported codes of one length there are."""
        ...

    async def import_codes(self, order: ImportOrder, digests: AsyncIterable[Sequence[bytes]]) -> CodeBatch:
        """Store 16-byte digests, in chunks, under consecutive serials of the reserved range; all or nothing.

        Nothing is visible until the last chunk is in. ``CodesTaken`` names the 1-based positions (at most 20) of
        digests that stand twice in this import or in an earlier one; ``RuleBroken`` beyond ``at_most``. What
        ``digests`` raises is passed on. Other writers are not held up meanwhile.
        """
        ...

    async def batch(self, batch_id: BatchId) -> CodeBatch: ...

    async def batches(self) -> Sequence[CodeBatch]: ...

    async def change_states(self, changes: Sequence[StateChange], *, at: datetime) -> None:
        """Append range events; all or nothing."""
        ...

    async def set_recalled(self, batch_id: BatchId, *, recalled: bool, reason: str, at: datetime) -> None:
        """Recall a batch or lift its recall; both are kept as events."""
        ...

    async def put_key_checks(self, checks: Mapping[str, str]) -> None:
        """Store the check value of each key by name; a name already stored with another value is ``RuleBroken``."""
        ...
