"""What must hold for any key and any label: no two labels share a code, scalar and bulk agree, slips are found."""

import random
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.model.catalogue import Catalogue
from app.core.model.check_digits import check_digits_hold
from app.core.model.code import Code
from app.core.model.label import BatchId, Brand, BrandId, CodeBatch, Product, ProductId, Serial
from app.core.ports.labels import Recognised, Unrecognised
from app.issuing.codebook import LAYOUTS, Codebook, Layout
from app.issuing.codebook_bulk import BulkCodebook
from app.issuing.keyring import Keyring
from app.issuing.recogniser import CodebookRecogniser
from tests.conftest import Budget

_AT = datetime(2026, 11, 1, tzinfo=UTC)
_LAYOUTS = st.sampled_from(list(LAYOUTS.values()))
_KEYS = st.integers(0, 1 << 64).map(lambda seed: sha256(seed.to_bytes(9, "big")).digest())


def _serials(layout: Layout) -> st.SearchStrategy[int]:
    return st.integers(0, layout.capacity - 1)


def _batch(number: int, layout: Layout, first: int, last: int, tag_key_id: int) -> CodeBatch:
    brand = Brand(id=BrandId(1), name="Brand")
    return CodeBatch(
        id=BatchId(number),
        product=Product(id=ProductId(1), brand=brand, name="Product"),
        programme=None,
        layout=layout.digits,
        digits=layout.digits,
        first_serial=Serial(layout.first_serial + first),
        last_serial=Serial(layout.first_serial + last),
        tag_key_id=tag_key_id,
        url_prefix="https://example.org/q/",
        issued_at=_AT,
    )


@given(permutation=_KEYS, tags=st.tuples(_KEYS, _KEYS), layout=_LAYOUTS, data=st.data())
def test_no_two_serials_share_a_code_even_across_tag_keys(
    permutation: bytes, tags: tuple[bytes, bytes], layout: Layout, data: st.DataObject
) -> None:
    book = Codebook(permutation_keys={layout.digits: permutation}, tag_keys={1: tags[0], 2: tags[1]})
    serials = data.draw(st.lists(_serials(layout), min_size=2, max_size=20, unique=True))
    codes = {
        serial: {book.make(layout.first_serial + serial, tag_key_id=key_id) for key_id in (1, 2)}
        for serial in serials
    }
    for serial, made in codes.items():
        assert all(len(code) == layout.digits and check_digits_hold(code) for code in made)
        assert {book.open(code) for code in made} == {layout.first_serial + serial}
    # the code opens to its serial, so equal codes would be equal serials; say it directly as well
    assert len(set.union(*codes.values())) == sum(len(made) for made in codes.values())


def test_ten_thousand_neighbours_all_differ_across_two_rotations() -> None:
    book = Codebook(permutation_keys={16: bytes(32)}, tag_keys={n: bytes([n]) * 32 for n in (1, 2, 3)})
    seen: set[int] = set()
    for key_id in (1, 2, 3):
        bulk = BulkCodebook(book, layout=16, tag_key_id=key_id)
        for start in range(0, 1 << 15, bulk.chunk):
            codes = bulk.make((key_id << 15) + start, bulk.chunk)
            seen.update(codes.permuted.tolist())
    assert len(seen) == 3 << 15


@given(permutation=_KEYS, tag=_KEYS, layout=_LAYOUTS, count=st.integers(1, 70), data=st.data())
def test_bulk_and_scalar_make_the_same_codes(
    permutation: bytes, tag: bytes, layout: Layout, count: int, data: st.DataObject
) -> None:
    book = Codebook(permutation_keys={layout.digits: permutation}, tag_keys={7: tag})
    first = data.draw(st.integers(0, layout.capacity - count))
    codes = BulkCodebook(book, layout=layout.digits, tag_key_id=7, chunk=128).make(first, count)
    assert codes.permuted.dtype == np.uint64
    made = [
        f"{permuted:0{layout.serial_digits}d}{tag_value:07d}{check:02d}"
        for permuted, tag_value, check in zip(
            codes.permuted.tolist(), codes.tags.tolist(), codes.checks.tolist(), strict=True
        )
    ]
    serials = range(layout.first_serial + first, layout.first_serial + first + count)
    assert made == [book.make(serial, tag_key_id=7) for serial in serials]


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (0, 0), (0, 129), (10**7, 1), (10**7 - 1, 2)])
def test_bulk_refuses_serials_outside_the_layout_or_chunk(first: int, count: int) -> None:
    book = Codebook(permutation_keys={16: bytes(32)}, tag_keys={1: bytes(32)})
    with pytest.raises(ValueError, match="fit"):
        BulkCodebook(book, layout=16, tag_key_id=1, chunk=128).make(first, count)


@given(layout=_LAYOUTS, data=st.data())
def test_a_label_is_recognised_under_its_batchs_key_only_also_a_retired_one(
    layout: Layout, data: st.DataObject
) -> None:
    ring = Keyring.fresh(now=_AT).with_new_tag_key(now=_AT)
    recogniser = CodebookRecogniser(lambda: ring)
    half = layout.capacity // 2
    catalogue = Catalogue.of(
        version=1,
        batches=[_batch(1, layout, 0, half - 1, 1), _batch(2, layout, half, layout.capacity - 2, 2)],
        key_checks=ring.checks(),
    )
    serial = data.draw(st.integers(0, layout.capacity - 2))
    own = 1 if serial < half else 2
    book = ring.codebook()
    label = layout.first_serial + serial
    code = Code(digits=book.make(label, tag_key_id=own))
    assert recogniser.recognise(code, catalogue) == Recognised(serial=label)
    under_another_key = Code(digits=book.make(label, tag_key_id=3 - own))
    assert recogniser.recognise(under_another_key, catalogue) == Unrecognised(sound=True)
    outside = Code(digits=book.make(layout.first_serial + layout.capacity - 1, tag_key_id=2))
    assert recogniser.recognise(outside, catalogue) == Unrecognised(sound=True)


def _wrong_digit(digits: str, place: random.Random) -> tuple[str, tuple[int, ...]]:
    index = place.randrange(len(digits))
    digit = str((int(digits[index]) + place.randrange(1, 10)) % 10)
    return digits[:index] + digit + digits[index + 1 :], (index + 1,)


def _swap(digits: str, place: random.Random) -> tuple[str, tuple[int, ...]]:
    unequal = [index for index in range(len(digits) - 1) if digits[index] != digits[index + 1]]
    index = place.choice(unequal)
    left, right = digits[index], digits[index + 1]
    return digits[:index] + right + left + digits[index + 2 :], (index + 1, index + 2)


def test_over_999_of_1000_slips_are_located_with_every_serial_issued(budget: Budget) -> None:
    """The hardest case: the whole layout is issued, so only the tag tells the candidates apart."""
    ring = Keyring.fresh(now=_AT)
    recogniser = CodebookRecogniser(lambda: ring)
    book = ring.codebook()
    place = random.Random(97)
    located = tried = 0
    for layout in LAYOUTS.values():
        everything = Catalogue.of(
            version=1, batches=[_batch(1, layout, 0, layout.capacity - 1, 1)], key_checks=ring.checks()
        )
        for _ in range(700 if budget == "short" else 20_000):
            digits = book.make(layout.first_serial + place.randrange(layout.capacity), tag_key_id=1)
            for slip in (_wrong_digit, _swap):
                entered, positions = slip(digits, place)
                assert not check_digits_hold(entered)
                found = recogniser.locate_slip(Code(digits=entered), everything)
                assert found in {positions, ()}
                located += found == positions
                tried += 1
    assert tried > 4_000
    assert located / tried > 0.999


@given(layout=_LAYOUTS, data=st.data())
def test_every_wrong_digit_and_every_swap_of_one_code_is_detected(
    layout: Layout, data: st.DataObject
) -> None:
    book = Codebook(permutation_keys={layout.digits: bytes(32)}, tag_keys={1: bytes(32)})
    digits = book.make(layout.first_serial + data.draw(_serials(layout)), tag_key_id=1)
    for index, own in enumerate(digits):
        for digit in "0123456789":
            if digit != own:
                assert not check_digits_hold(digits[:index] + digit + digits[index + 1 :])
        swapped = digits[:index] + digits[index + 1 : index + 2] + own + digits[index + 2 :]
        assert swapped == digits or not check_digits_hold(swapped)
