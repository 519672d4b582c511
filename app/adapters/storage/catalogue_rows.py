"""The catalogue as rows, alike in every SQL store: what is asked for, and what the answers become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from app.adapters.storage.rows import from_micros
from app.core.model.catalogue import StateEvent, spans_of
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

Rows = Iterable[Sequence[Any]]

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
KEY_CHECKS: Final = "SELECT name, value FROM key_check"


class StateEvents:
    """State events read so far, folded into spans; a batch without new events keeps its spans."""

    def __init__(self) -> None:
        self.last_id = 0
        self._events: dict[BatchId, list[StateEvent]] = {}
        self._spans: dict[BatchId, tuple[StateSpan, ...]] = {}

    def take(self, rows: Rows) -> None:
        """Add events later than ``last_id``, as (id, batch, first, last, state, reason, at) in the order of id."""
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
            self.last_id = number
        for batch_id in touched:
            self._spans[batch_id] = spans_of(self._events[batch_id])

    def spans(self) -> dict[BatchId, tuple[StateSpan, ...]]:
        """Return the spans of every batch with events, as a copy."""
        return dict(self._spans)


def brands_of(rows: Rows) -> dict[int, Brand]:
    """Return brands by id from the rows of ``BRANDS``."""
    brands = {}
    for row in rows:
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


def products_of(rows: Rows, brands: Mapping[int, Brand]) -> dict[int, Product]:
    """Return products by id from the rows of ``PRODUCTS``."""
    products = {}
    for row in rows:
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


def programmes_of(rows: Rows) -> dict[int, Programme]:
    """Return label programmes by id from the rows of ``PROGRAMMES``."""
    return {
        number: Programme(
            id=ProgrammeId(number), name=name, name_en=name_en, thresholds=_thresholds(genuine, warn)
        )
        for number, name, name_en, genuine, warn in rows
    }


def batches_of(
    rows: Rows, products: Mapping[int, Product], programmes: Mapping[int, Programme]
) -> list[CodeBatch]:
    """Return batches in the order of issue, with their present recall, from the rows of ``BATCHES``."""
    batches = []
    for row in rows:
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


def thresholds_pair(thresholds: Thresholds | None) -> tuple[int | None, int | None]:
    """Return the two columns of a rule."""
    return (thresholds.genuine, thresholds.warn) if thresholds else (None, None)


def _thresholds(genuine: int | None, warn: int | None) -> Thresholds | None:
    return None if genuine is None or warn is None else Thresholds(genuine=genuine, warn=warn)
