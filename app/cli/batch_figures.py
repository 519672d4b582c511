"""Figures of a batch that several commands show: how many labels are in each state, its line of JSON."""

from __future__ import annotations

from collections import Counter

from app.core.model.catalogue import Catalogue
from app.core.model.label import CodeBatch, LabelState


def quantity(batch: CodeBatch) -> int:
    """Return how many labels the batch has."""
    return batch.last_serial - batch.first_serial + 1


def state_counts(batch: CodeBatch, catalogue: Catalogue) -> Counter[LabelState]:
    """Return how many labels of the batch are in each state now."""
    counts: Counter[LabelState] = Counter()
    spans = catalogue.spans.get(batch.id, ())
    for index, span in enumerate(spans):
        after = spans[index + 1].first_serial if index + 1 < len(spans) else batch.last_serial + 1
        counts[span.state] += after - span.first_serial
    counts[LabelState.ISSUED] += quantity(batch) - counts.total()
    return +counts


def spoken_states(batch: CodeBatch, catalogue: Catalogue) -> str:
    """Return the states in words, e.g. ``active 90, voided 10``; a recall stands first."""
    counts = state_counts(batch, catalogue)
    words = [f"{state.value} {counts[state]:,}" for state in LabelState if counts[state]]
    return ", ".join((["RECALLED"] if batch.recalled else []) + words)


def as_json(batch: CodeBatch, catalogue: Catalogue) -> dict[str, object]:
    """Return the batch for scripts."""
    return {
        "id": batch.id,
        "product": batch.product.id,
        "brand": batch.product.brand.id,
        "programme": batch.programme.id if batch.programme else None,
        "layout": batch.digits or batch.layout,
        "imported": batch.imported,
        "quantity": quantity(batch),
        "first_serial": batch.first_serial,
        "last_serial": batch.last_serial,
        "tag_key_id": batch.tag_key_id,
        "url_prefix": batch.url_prefix,
        "issued_at": batch.issued_at,
        "recalled": batch.recalled,
        "recall_reason": batch.recall_reason or None,
        "states": {state.value: count for state, count in state_counts(batch, catalogue).items()},
    }
