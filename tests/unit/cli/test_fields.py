"""What may be entered about brands and products."""

import argparse
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli import fields
from app.core.model.label import Disclosure, Thresholds
from channels.wording.segments import find_gsm7_length


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("4006381333931", "04006381333931"),  # GTIN-13
        ("96385074", "00000096385074"),  # GTIN-8, GS1 General Specifications
        ("614141000036", "00614141000036"),  # GTIN-12
        ("10614141000415", "10614141000415"),  # GTIN-14
        (" 4006381333931 ", "04006381333931"),
    ],
)
def test_a_gtin_is_kept_with_14_digits(text: str, stored: str) -> None:
    assert fields.gtin(text) == stored


@pytest.mark.parametrize(
    "text", ["4006381333932", "123", "40063813339310000", "４００６３８１３３３９３１", "", "abc"]
)
def test_a_wrong_gtin_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        fields.gtin(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("https://brand.example/p/1.jpg", "https://brand.example/p/1.jpg"),
        (
            " https://cdn.brand.example:8443/a%20b?w=360&h=200 ",
            "https://cdn.brand.example:8443/a%20b?w=360&h=200",
        ),
        ("http://127.0.0.1:8080/p.png", "http://127.0.0.1:8080/p.png"),
        ("http://localhost/p.png", "http://localhost/p.png"),
        ("http://[::1]:8080/p.png", "http://[::1]:8080/p.png"),
        ("https://brand.example/" + "x" * 490, "https://brand.example/" + "x" * 490),
    ],
)
def test_a_picture_has_an_address(text: str, stored: str) -> None:
    assert fields.picture_url(text) == stored


@pytest.mark.parametrize(
    "text",
    [
        *(
            "http://brand.example/p.jpg",
            "ftp://brand.example/p.jpg",
            "//brand.example/p.jpg",
            "brand.example/p.jpg",
        ),
        *(
            "https://",
            "https:///p.jpg",
            "https://u:p@brand.example/p.jpg",
            "https://brand.example/p.jpg#a",
            "",
        ),
        *("https://brand.example/p.jpg#", "https://brand.example:x/", "https://[::1/", "javascript:alert(1)"),
        *("https://brand.example/a b", "https://brand.example/奶粉.jpg", 'https://brand.example/"onload="'),
        *(
            "https://brand.example/]]>\n",
            "https://brand.example/a\x00b",
            "https://brand.example/" + "x" * 491,
        ),
        *(
            "http://127.0.0.1.brand.example/p.jpg",
            "http://localhost@brand.example/p.jpg",
            "data:image/png;base64,AA",
        ),
    ],
)
def test_an_address_that_no_channel_should_fetch_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        fields.picture_url(text)


@pytest.mark.parametrize("text", ["青禾", "一二三四五六七八九十", "A" * 24, "[" * 12, "Café"])
def test_a_short_name_that_fits(text: str) -> None:
    assert fields.short_name(text) == text


@pytest.mark.parametrize(
    "text", ["一二三四五六七八九十一", "A" * 25, "[" * 13, "𠮷" * 6, "ABCDEFGHIJ青", "  ", "a\tb"]
)
def test_a_short_name_that_does_not_fit(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        fields.short_name(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=60))
def test_a_shortened_name_always_fits(text: str) -> None:
    short = fields.shortened(text)
    assert text.strip().startswith(short)
    septets = find_gsm7_length(short)
    assert (septets if septets is not None else len(short.encode("utf-16-be"))) <= 24


def test_thresholds() -> None:
    assert fields.thresholds("2,5") == Thresholds(genuine=2, warn=5)
    for wrong in ("1", "4,1", "0,4", "a,b", "1,2,3", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="1,4"):
            fields.thresholds(wrong)


def test_quantities() -> None:
    assert [fields.positive(text) for text in ("1", "1_000", "1e6")] == [1, 1000, 1_000_000]
    for wrong in ("0", "-1", "1.5", "many", "1e999"):
        with pytest.raises(argparse.ArgumentTypeError):
            fields.positive(wrong)


def test_a_quantity_may_have_a_most() -> None:
    check = fields.up_to(1000)
    assert [check("1"), check("1_000")] == [1, 1000]
    for wrong in ("0", "1001", "some"):
        with pytest.raises(argparse.ArgumentTypeError):
            check(wrong)


def test_a_day_begins_in_utc_and_a_time_names_its_zone() -> None:
    assert fields.moment("2026-11-21") == datetime(2026, 11, 21, tzinfo=UTC)
    assert fields.moment("2026-11-21T08:30+08:00") == datetime(2026, 11, 21, 0, 30, tzinfo=UTC)
    for wrong in ("", "yesterday", "2026-02-30", "2026-11-21T08:30", "21.11.2026"):
        with pytest.raises(argparse.ArgumentTypeError, match="2026-11-21"):
            fields.moment(wrong)


@pytest.mark.parametrize("text", ["400-800-1234", "+86 10 1234 5678", "12315"])
def test_service_lines(text: str) -> None:
    assert fields.service_line(text) == text


@pytest.mark.parametrize("text", ["", "call us", "12", "1" * 21])
def test_what_is_no_service_line(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        fields.service_line(text)


def test_a_reason_is_short_and_printable() -> None:
    assert fields.reason(" 玻璃碎片 ") == "玻璃碎片"
    assert fields.reason("") == ""
    for wrong in ("a\x1b[31m", "a\nb", "长" * 501):
        with pytest.raises(argparse.ArgumentTypeError, match="500"):
            fields.reason(wrong)


def test_disclosure() -> None:
    assert fields.disclosure("minimal") is Disclosure.MINIMAL
    with pytest.raises(argparse.ArgumentTypeError, match="full or minimal"):
        fields.disclosure("none")
