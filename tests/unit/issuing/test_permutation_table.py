from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.issuing.codebook import LAYOUTS, Codebook
from app.issuing.ff1 import FF1
from app.issuing.permutation_table import PermutationTable

KEY = bytes(range(32))
SHORT = FF1(KEY, radix=10, length=7)
LONG = FF1(KEY, radix=10, length=11)
SHORT_TABLE = PermutationTable(SHORT)


@pytest.fixture(scope="module")
def long_table() -> PermutationTable:
    return PermutationTable(LONG)


@given(st.integers(0, 10**7 - 1))
def test_seven_digits_as_ff1(value: int) -> None:
    assert SHORT_TABLE.decrypt(value) == SHORT.decrypt(value)


def test_eleven_digits_as_ff1(long_table: PermutationTable) -> None:
    step = (10**11 - 1) // 4999
    for value in range(0, 10**11, step):
        assert long_table.decrypt(value) == LONG.decrypt(value)
        assert LONG.encrypt(long_table.decrypt(value)) == value


@pytest.mark.parametrize("value", [-1, 10**7])
def test_a_value_outside_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        SHORT_TABLE.decrypt(value)


def test_long_halves_have_no_table() -> None:
    fifteen = FF1(KEY, radix=10, length=15)
    assert not PermutationTable.fits(fifteen)
    with pytest.raises(ValueError, match="six digits"):
        PermutationTable(fifteen)


def test_a_tabulated_codebook_opens_the_same_serials() -> None:
    keys = {layout: bytes([layout]) * 32 for layout in LAYOUTS}
    plain = Codebook(permutation_keys=keys, tag_keys={1: KEY})
    tabulated = Codebook(permutation_keys=keys, tag_keys={1: KEY})
    tabulated.tabulate()
    adopted = Codebook(permutation_keys=keys, tag_keys={1: KEY, 2: KEY[::-1]})
    adopted.adopt_tables(tabulated)
    stranger = Codebook(permutation_keys=dict.fromkeys(LAYOUTS, KEY), tag_keys={1: KEY})
    stranger.adopt_tables(tabulated)
    for layout in LAYOUTS.values():
        for number in (0, 1, 4711, 10**layout.serial_digits - 1):
            serial = layout.first_serial + number
            digits = plain.make(serial, tag_key_id=1)
            assert tabulated.open(digits) == adopted.open(digits) == serial
            assert stranger.open(stranger.make(serial, tag_key_id=1)) == serial
