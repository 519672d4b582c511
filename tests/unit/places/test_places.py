"""Numbers of every shape, and their places held against the library's own geocoder."""

from __future__ import annotations

import random
import tomllib
from importlib import resources

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.places import PhoneNumberPlaces
from app.adapters.places.mainland import PROVINCES, PrefixTable, coarse

PLACES = PhoneNumberPlaces()
PLACES.load()


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("13912345678", "+8613912345678"),
        ("+8613912345678", "+8613912345678"),
        ("8613912345678", "+8613912345678"),
        ("008613912345678", "+8613912345678"),
        (" +86 139-1234-5678 ", "+8613912345678"),
        ("（86）139.1234.5678", "+8613912345678"),
        ("８６１３９１２３４５６７８", "+8613912345678"),
        ("tel:+86-139-1234-5678", "+8613912345678"),
        ("021-12345678", "+862112345678"),
        ("(010) 6552 9988", "+861065529988"),
        ("+85291234567", "+85291234567"),
        ("85291234567", "+85291234567"),
        ("0085291234567", "+85291234567"),
        ("+1 202 555 0123", "+12025550123"),
        ("10086", "10086"),
        ("95588", "95588"),
        ("106912345678", "106912345678"),
        ("Alibaba", "Alibaba"),
        ("  ", ""),
        ("", ""),
    ],
)
def test_every_number_has_one_spelling(raw: str, number: str) -> None:
    assert PLACES.normalise(raw) == number
    assert PLACES.normalise(number) == number


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("+8613904711234", "内蒙古呼和浩特"),
        ("+8613912345678", "江苏常州"),
        ("+861065529988", "北京"),
        ("+862112345678", "上海"),
        ("+8613908711234", "云南昆明"),
        ("+8613894331234", "吉林延边"),
        ("+85291234567", "香港"),
        ("+85366123456", "澳门"),
        ("+886912345678", "台湾"),
        ("+12025550123", "境外"),
        ("+8210123456", "境外"),
        ("+864008001234", ""),
        ("+86", ""),
        ("+", ""),
        ("10086", ""),
        ("Alibaba", ""),
        ("", ""),
    ],
)
def test_a_number_has_a_province_and_a_city(number: str, place: str) -> None:
    assert PLACES.locate(number) == place


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("内蒙古自治区呼和浩特市", "内蒙古呼和浩特"),
        ("广西壮族自治区南宁市", "广西南宁"),
        ("新疆维吾尔自治区乌鲁木齐市", "新疆乌鲁木齐"),
        ("宁夏回族自治区银川市", "宁夏银川"),
        ("湖北省恩施土家族苗族自治州", "湖北恩施"),
        ("云南省芒市", "云南芒市"),
        ("吉林省吉林市", "吉林吉林"),
        ("北京市", "北京"),
        ("天津", "天津"),
        ("辽宁省沈阳市、铁岭市", "辽宁"),
        ("湖北省襄樊市、襄樊市", "湖北襄樊"),
        ("香港特别行政区", "香港"),
        ("纽约", ""),
        ("", ""),
    ],
)
def test_names_become_coarse(name: str, place: str) -> None:
    assert coarse(name) == place


def test_the_provinces_are_those_that_have_words() -> None:
    text = resources.files("channels.wording").joinpath("en.toml").read_text(encoding="utf-8")
    assert set(PROVINCES) <= set(tomllib.loads(text)["places"])


@given(st.text(max_size=80) | st.from_regex(r"\+?[0-9()\- ]{0,20}", fullmatch=True))
def test_whatever_comes_nothing_is_raised_and_a_spelling_stays(raw: str) -> None:
    number = PLACES.normalise(raw)
    assert PLACES.normalise(number) == number
    place = PLACES.locate(number)
    assert place in {"", "境外"} or place.startswith(PROVINCES)


@given(st.from_regex(r"\+86[0-9]{0,13}", fullmatch=True) | st.from_regex(r"\+[0-9]{0,17}", fullmatch=True))
def test_every_place_begins_with_a_province(number: str) -> None:
    place = PLACES.locate(number)
    assert place in {"", "境外"} or place.startswith(PROVINCES)
    assert not place.endswith("省")


def test_the_short_table_says_what_the_whole_one_says() -> None:
    from phonenumbers.geocoder import description_for_number

    dice = random.Random(7)
    known = 0
    for _ in range(3000):
        digits = f"1{dice.randint(300000000, 999999999):09d}{dice.randrange(10)}"
        number = phonenumbers.PhoneNumber(country_code=86, national_number=int(digits))
        name = description_for_number(number, "zh")
        expected = "" if name in {"", "中国"} else coarse(name)
        if expected:  # the library names no place of numbers that are not given out
            assert PLACES.locate(f"+86{digits}") == expected
            known += 1
    assert known > 1000


def test_the_longest_listed_prefix_counts() -> None:
    table = PrefixTable()
    for prefix, place in (("861", "a"), ("8613", "b"), ("86139", "c")):
        table.add(prefix, place)
    found = [table.find(digits) for digits in ("86139999", "86138", "861", "86", "", "87139")]
    assert found == ["c", "b", "a", "", "", ""]
