"""State spans against a brute-force painter, and batches by serial."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.core.model.catalogue import Catalogue, StateEvent, spans_of
from app.core.model.label import BatchId, Brand, BrandId, CodeBatch, LabelState, Product, ProductId, Serial
from tests.fakes.clock import START

_LAST = 30
_RANGES = st.tuples(st.integers(0, _LAST), st.integers(0, _LAST)).map(sorted)
_EVENTS = st.lists(st.tuples(_RANGES, st.sampled_from(LabelState)), max_size=12)


def batch(number: int, first: int, last: int, *, digits: int = 0) -> CodeBatch:
    return CodeBatch(
        id=BatchId(number),
        product=Product(id=ProductId(1), brand=Brand(id=BrandId(1), name="青禾"), name="奶粉"),
        programme=None,
        layout=1 if digits else 20,
        first_serial=Serial(first),
        last_serial=Serial(last),
        tag_key_id=None if digits else 1,
        url_prefix="",
        issued_at=START,
        digits=digits,
    )


@given(changes=_EVENTS, order=st.randoms(use_true_random=False))
def test_of_the_events_that_cover_a_label_the_last_wins(
    changes: list[tuple[list[int], LabelState]], order: object
) -> None:
    events, painted = [], [(LabelState.ISSUED, None, "")] * (_LAST + 1)
    for number, ((first, last), state) in enumerate(changes, start=1):
        at, reason = START + timedelta(days=number), f"change {number}"
        events.append(
            StateEvent(
                id=number,
                batch_id=BatchId(1),
                first_serial=first,
                last_serial=last,
                state=state,
                at=at,
                reason=reason,
            )
        )
        painted[first : last + 1] = [(state, at, reason)] * (last + 1 - first)
    order.shuffle(events)  # type: ignore[attr-defined]
    spans = spans_of(events)
    whole = batch(1, 0, _LAST)
    catalogue = Catalogue.of(version=1, batches=[whole], spans={whole.id: spans} if spans else {})
    for serial in range(_LAST + 1):
        label = catalogue.label(serial, whole)
        assert (label.state, label.state_at, label.reason) == painted[serial]
        assert (label.serial, label.batch) == (serial, whole)
    assert [span.first_serial for span in spans] == sorted({span.first_serial for span in spans})
    assert len(spans) <= 2 * len(changes) + 1


@given(widths=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=8), shuffled=st.randoms())
def test_a_serial_finds_its_batch_and_a_gap_finds_none(
    widths: list[tuple[int, int]], shuffled: object
) -> None:
    batches, owner, start = [], {}, 5
    for number, (gap, width) in enumerate(widths, start=1):
        start += gap
        batches.append(batch(number, start, start + width - 1))
        owner.update(dict.fromkeys(range(start, start + width), number))
        start += width
    shuffled.shuffle(batches)  # type: ignore[attr-defined]
    catalogue = Catalogue.of(version=1, batches=batches)
    for serial in range(-1, start + 3):
        found = catalogue.batch_of(serial)
        assert (found.id if found else None) == owner.get(serial)


def test_imported_lengths_are_lengths_to_look_for() -> None:
    catalogue = Catalogue.of(version=1, batches=[batch(1, 0, 9), batch(2, 10, 19, digits=18)])
    assert catalogue.lengths == {16, 18, 20, 24}
    assert catalogue.imported_lengths == {18}
    assert Catalogue(version=0).batch_of(1) is None
