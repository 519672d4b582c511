"""A code is found in whatever a shopper sends."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.model.check_digits import check_digits_for, check_digits_hold
from app.core.model.code import (
    MAX_DIGITS,
    MAX_READINGS,
    MAX_TEXT_CHARS,
    PRESET_LENGTHS,
    Code,
    Entry,
    count_digits,
    read_codes,
)

A = "1234567890123456" + "78" + check_digits_for("123456789012345678")
B = "0070070070070070" + "07" + check_digits_for("007007007007007007")
WRONG = A[:-1] + str((int(A[-1]) + 1) % 10)
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
HANZI = str.maketrans("0123456789", "〇一二三四五六七八九")
SPOKEN = str.maketrans("0123456789", "零幺二三四五六七八九")


def fours(digits: str, between: str = " ") -> str:
    return between.join(digits[at : at + 4] for at in range(0, len(digits), 4))


@pytest.mark.parametrize(
    "text",
    [
        A,
        f"  {A}\n",
        fours(A),
        fours(A, "-"),
        fours(A, "\n"),
        fours(A, "\r\n"),
        fours(A, " - "),
        fours(A, "\u2014"),
        fours(A, "\u3000"),
        fours(A, "\u00a0"),
        fours(A, "."),
        f"({fours(A, ') (')})",
        fours(A, "/"),
        fours(A, "～"),
        fours(A, "−"),
        fours(A, "*"),
        fours(A, "。"),
        " ".join(A),
        f"{A[:11]}\n{A[11:]}",
        A.translate(FULL_WIDTH),
        fours(A.translate(FULL_WIDTH), "\u3000"),
        A.translate(ARABIC),
        A.translate(HANZI),
        A.translate(SPOKEN),
        fours(A.translate(HANZI)),
        fours(A.translate(SPOKEN), "\n"),
        " ".join(A.translate(HANZI)),
        "、".join(A.translate(SPOKEN)),
        "".join(f"{digit}\ufe0f\u20e3" for digit in A),
        A.replace("0", "O").replace("1", "l"),
        A.replace("0", "o").replace("1", "I"),
        f"查一下{A}是不是真的",
        f"请帮我查 {fours(A)},谢谢",
        f"编码:{A}。",
        f"https://verify.example/q/{A}",
        f"HTTPS://VERIFY.EXAMPLE/q/{A}?from=wechat&x=20261121",
        f"https://verify.example/01/06901234567892/21/{A}",
        f"13800138000 {A}",
        f"{A} 13800138000",
        f"我的手机13800138000 码{A}",
        f"13800138000\n{fours(A)}",
        f"138-0013-8000 {fours(A)}",
        f"+86 13800138000 {fours(A)}",
        f"{fours(A)}\n138 0013 8000",
        f"【验真】您的编码 {fours(A)} 2026-11-21 09:12",
        f"\x00{A}\x00",
        f"😀{A}😀",
        f"'; DROP TABLE verification; -- {A}",
        f"\ufeff{A}",
        f"\u202e{A}\u202c",
    ],
)
def test_any_layout_gives_the_same_code(text: str) -> None:
    reading = read_codes(text)
    assert reading.code.digits == A
    assert not reading.more_codes


@pytest.mark.parametrize("between", ["\n", " 和 ", ",", "; ", " ", "\u3000"])
def test_of_two_codes_the_first_is_answered_and_the_second_mentioned(between: str) -> None:
    reading = read_codes(f"{A}{between}{B}")
    assert (reading.code.digits, reading.more_codes, reading.others) == (A, True, ())


@pytest.mark.parametrize("between", ["\n", " ", "，", " / ", "\r\n\r\n", "、"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(fours(A), fours(B)), (fours(A, "-"), fours(B, "-")), (fours(A), B), (A, fours(B)), (" ".join(A), " ".join(B))],
)  # fmt: skip
def test_two_codes_in_groups_are_two_codes(first: str, second: str, between: str) -> None:
    reading = read_codes(f"{first}{between}{second}")
    assert (reading.code.digits, reading.more_codes, reading.others) == (A, True, ())


def test_the_same_code_in_groups_twice_is_one_code() -> None:
    reading = read_codes(f"{fours(A)}\n{fours(A)}")
    assert (reading.code.digits, reading.more_codes) == (A, False)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("", 0), ("查一下", 0), ("谢谢", 0), ("一二三", 3), ("１２ ab 34 ٥٦", 6), ("第一，第二", 0),
        ("7" * 9000, MAX_TEXT_CHARS),
    ],
)  # fmt: skip
def test_digits_are_counted_as_they_are_read(text: str, digits: int) -> None:
    assert count_digits(text) == digits


def test_a_code_twice_is_one_code() -> None:
    reading = read_codes(f"{A} https://verify.example/q/{A}")
    assert (reading.code.digits, reading.more_codes) == (A, False)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("", ""),
        (" ", ""),
        ("hello", ""),
        ("\x00", ""),
        ("😀", ""),
        ("查一下", ""),
        ("Ol", ""),
        ("12345", "12345"),
        (A[:-1], A[:-1]),
        (WRONG, WRONG),
        (fours(WRONG), WRONG),
        (f"13800138000 {WRONG}", WRONG),
        (f"https://verify.example/q/{WRONG}", WRONG),
    ],
)
def test_what_holds_no_sound_code_is_kept_as_the_likeliest_attempt(text: str, digits: str) -> None:
    assert read_codes(text).code.digits == digits


def test_a_megabyte_is_read_from_its_beginning() -> None:
    assert read_codes(A + " " + "x" * 1_000_000).code.digits == A
    assert read_codes("x" * 1_000_000 + A).code.digits == ""
    assert len(read_codes("7" * 1_000_000).code.digits) <= MAX_DIGITS
    assert read_codes(" ".join("7" * 500_000)).code.digits != ""


def test_an_imported_length_is_a_length_too() -> None:
    lengths = PRESET_LENGTHS | {18}
    digits = "123456789012345678"
    assert read_codes(f"码 {digits}", lengths=lengths).code.digits == digits
    assert read_codes(digits, lengths=lengths).code.digits == digits


def test_a_code_shows_itself_masked() -> None:
    code = Code.parse(A, entry=Entry.SCANNED)
    assert repr(code) == f"Code(20:**{A[-2:]}, scanned)"
    assert A[:-2] not in f"{code} {code!r} {code.masked()}"
    assert code.grouped() == fours(A)
    assert repr(Code.parse("")) == "Code(0:, typed)"


@given(st.text(max_size=300))
@example("0" * 24)
@example("\ud800" + A)
def test_reading_never_fails(text: str) -> None:
    reading = read_codes(text)
    for code in (reading.code, *reading.others):
        assert code.digits == "" or (code.digits.isascii() and code.digits.isdigit())
        assert len(code.digits) <= MAX_DIGITS
    assert 1 + len(reading.others) <= MAX_READINGS
    for other in reading.others:
        assert check_digits_hold(other.digits)
        assert other.digits != reading.code.digits


_BODIES = st.sampled_from(sorted(PRESET_LENGTHS)).flatmap(
    lambda length: st.text("0123456789", min_size=length - 2, max_size=length - 2)
)
_SEPARATORS = st.sampled_from([" ", "-", "\n", "\u3000", "  ", " - ", ".", "\t", "\u2013"])
_SCRIPTS = st.sampled_from([{}, FULL_WIDTH, ARABIC])


@given(body=_BODIES, cuts=st.sets(st.integers(1, 23), max_size=8), between=_SEPARATORS, script=_SCRIPTS)
def test_any_grouping_in_any_script_gives_the_digits(
    body: str, cuts: set[int], between: str, script: dict[int, int]
) -> None:
    digits = body + check_digits_for(body)
    ends = [0, *sorted(cut for cut in cuts if cut < len(digits)), len(digits)]
    parts = [digits[first:last] for first, last in itertools.pairwise(ends)]
    reading = read_codes(f"码 {between.join(parts).translate(script)} 谢谢")
    found = [reading.code.digits, *(other.digits for other in reading.others)]
    # a part may by chance hold as a code by itself: then both are tried, unless the whole comes first
    assert digits in found or reading.more_codes


@given(body=_BODIES, at=st.integers(0, 23), other=st.integers(1, 9))
def test_every_wrong_digit_and_every_swap_is_caught(body: str, at: int, other: int) -> None:
    digits = body + check_digits_for(body)
    assert check_digits_hold(digits)
    at %= len(digits)
    wrong = f"{digits[:at]}{(int(digits[at]) + other) % 10}{digits[at + 1 :]}"
    assert not check_digits_hold(wrong)
    if at + 1 < len(digits) and digits[at] != digits[at + 1]:
        assert not check_digits_hold(f"{digits[:at]}{digits[at + 1]}{digits[at]}{digits[at + 2 :]}")


def test_every_decimal_digit_of_unicode_counts() -> None:
    for point in range(0x110000):
        char = chr(point)
        value = unicodedata.decimal(char, -1)
        if value >= 0 and unicodedata.normalize("NFKC", char) == char:
            assert read_codes(char * 16).code.digits == str(value) * 16


@pytest.mark.parametrize("text", [f"{A}0", f"7{A}", A[:-1], A[1:]])
def test_one_digit_too_many_or_too_few_is_no_code(text: str) -> None:
    reading = read_codes(text)
    assert len(reading.code.digits) in {len(A) - 1, len(A) + 1}
    assert all(other.digits != A for other in reading.others)


@pytest.mark.parametrize("place", range(20))
def test_a_slip_in_groups_stays_the_attempt(place: int) -> None:
    wrong = A[:place] + str((int(A[place]) + 1) % 10) + A[place + 1 :]
    assert read_codes(Code(digits=wrong).grouped()).code.digits == wrong
