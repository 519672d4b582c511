"""A catalogue cut into parts that seldom change, as bytes and back: the names, and batches with their states.

Parts go by the numbers of batches, which only grow, so a recall or a void changes one part and a new batch the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, Final

import orjson

from app.adapters.storage.catalogue_rows import (
    batches_of,
    brands_of,
    products_of,
    programmes_of,
    thresholds_pair,
)
from app.adapters.storage.rows import from_micros, to_micros
from app.core.model.catalogue import Catalogue
from app.core.model.label import (
    BatchId,
    Brand,
    CodeBatch,
    LabelState,
    Product,
    Programme,
    StateSpan,
    Thresholds,
)

_MODEL: Final = (Brand, Product, Programme, CodeBatch, StateSpan, Thresholds)

FORM: Final = blake2b(
    repr((1, [(one.__name__, [entry.name for entry in fields(one)]) for one in _MODEL])).encode(),
    digest_size=4,
).hexdigest()
"""Differs between releases whose catalogues have other fields, so that neither reads what the other wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What batches refer to, by id."""

    products: Mapping[int, Product]
    programmes: Mapping[int, Programme]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some batches, and the state spans of those that have any."""

    batches: tuple[CodeBatch, ...]
    spans: Mapping[BatchId, tuple[StateSpan, ...]]


def cut(catalogue: Catalogue, per_part: int) -> list[Part]:
    """Return the parts of a catalogue, of ``per_part`` numbers of batches each and in their order."""
    by_number: dict[int, list[CodeBatch]] = {}
    for batch in catalogue.batches:
        by_number.setdefault(batch.id // per_part, []).append(batch)
    parts = []
    for _, batches in sorted(by_number.items()):
        batches.sort(key=lambda batch: batch.id)
        spans = {batch.id: catalogue.spans[batch.id] for batch in batches if batch.id in catalogue.spans}
        parts.append(Part(batches=tuple(batches), spans=spans))
    return parts


def join(version: int, parts: Iterable[Part], key_checks: Mapping[str, str]) -> Catalogue:
    """Undo :func:`cut`."""
    batches: list[CodeBatch] = []
    spans: dict[BatchId, tuple[StateSpan, ...]] = {}
    for part in parts:
        batches += part.batches
        spans |= part.spans
    return Catalogue.of(version=version, batches=batches, spans=spans, key_checks=key_checks)


def names_to_bytes(catalogue: Catalogue) -> bytes:
    """Return the brands, products and programmes that the batches refer to; equal bytes for equal names."""
    products = {batch.product.id: batch.product for batch in catalogue.batches}
    programmes = {batch.programme.id: batch.programme for batch in catalogue.batches if batch.programme}
    brands = {product.brand.id: product.brand for product in products.values()}
    return orjson.dumps(
        [
            [_brand_row(brands[number]) for number in sorted(brands)],
            [_product_row(products[number]) for number in sorted(products)],
            [_programme_row(programmes[number]) for number in sorted(programmes)],
        ]
    )


def names_from_bytes(text: bytes) -> Names:
    """Undo :func:`names_to_bytes`. Raises ``ValueError``, ``TypeError`` or ``LookupError`` for other bytes."""
    brands, products, programmes = orjson.loads(text)
    return Names(products=products_of(products, brands_of(brands)), programmes=programmes_of(programmes))


def part_to_bytes(part: Part) -> bytes:
    """Return a part without its names; equal bytes for equal parts."""
    return orjson.dumps(
        [
            [_batch_row(batch) for batch in part.batches],
            [[number, [_span_row(span) for span in spans]] for number, spans in part.spans.items()],
        ]
    )


def part_from_bytes(text: bytes, names: Names) -> Part:
    """Undo :func:`part_to_bytes`. Raises ``ValueError``, ``TypeError`` or ``LookupError`` for other bytes."""
    batches, spans = orjson.loads(text)
    return Part(
        batches=tuple(batches_of(batches, names.products, names.programmes)),
        spans={BatchId(number): tuple(_span(*row) for row in rows) for number, rows in spans},
    )


def _brand_row(brand: Brand) -> list[Any]:
    names = [brand.name, brand.name_en, brand.short_name, brand.spoken_name, brand.service_line]
    return [brand.id, *names, brand.disclosure, *thresholds_pair(brand.thresholds)]


def _product_row(product: Product) -> list[Any]:
    names = [product.name, product.name_en, product.short_name, product.spoken_name]
    numbers = [product.gtin, product.picture_url, *thresholds_pair(product.thresholds)]
    return [product.id, product.brand.id, *names, *numbers]


def _programme_row(programme: Programme) -> list[Any]:
    return [programme.id, programme.name, programme.name_en, *thresholds_pair(programme.thresholds)]


def _batch_row(batch: CodeBatch) -> list[Any]:
    programme = batch.programme.id if batch.programme else None
    serials = [batch.layout, batch.digits, batch.first_serial, batch.last_serial]
    issue = [batch.tag_key_id, batch.url_prefix, to_micros(batch.issued_at)]
    return [batch.id, batch.product.id, programme, *serials, *issue, int(batch.recalled), batch.recall_reason]


def _span_row(span: StateSpan) -> list[Any]:
    return [span.first_serial, span.state, None if span.at is None else to_micros(span.at), span.reason]


def _span(first_serial: int, state: str, at: int | None, reason: str) -> StateSpan:
    return StateSpan(
        first_serial=first_serial,
        state=LabelState(state),
        at=None if at is None else from_micros(at),
        reason=reason,
    )
