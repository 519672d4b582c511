"""Every value is spoken in phrases of the catalogue, and what is heard gives the value back."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.speech import phrasing
from app.speech.catalogue import load_books
from app.speech.spoken import Pause, Phrase, Spoken
from tests.property.speech.listening import hear_count, hear_digits, hear_moment, hear_number, hear_position

BOOKS = load_books(Path(__file__).resolve().parents[3] / "voice_prompts")
MOMENT = datetime(2026, 3, 5, 9, 12, tzinfo=UTC)
LOCALES = st.sampled_from(sorted(BOOKS))
NUMBERS = st.one_of(
    st.integers(0, 130),
    st.integers(0, phrasing.LARGEST),
    st.sampled_from([10**n + d for n in range(2, 8) for d in (-1, 0, 1, 10, 15)]),
)


def heard(spoken: Spoken, locale: str) -> list[str]:
    """The words as somebody hears them; fails for a key that the catalogue lacks."""
    prompts = BOOKS[locale].prompts
    return [prompts[item.key].sentence.strip("。.") for item in spoken if isinstance(item, Phrase)]


@given(NUMBERS, LOCALES)
@example(0, "zh-CN")
@example(10_015, "zh-CN")
@example(2_000, "zh-CN")
def test_a_number_is_heard_as_itself(value: int, locale: str) -> None:
    assert hear_number(heard(phrasing.number(value, locale), locale), locale) == value


@given(NUMBERS.filter(lambda value: value > 0), LOCALES)
def test_a_count_is_heard_as_itself(value: int, locale: str) -> None:
    assert hear_count(heard(phrasing.count(value, locale), locale), locale) == value


@given(st.integers(phrasing.LARGEST + 1, 2**63), LOCALES)
def test_a_count_beyond_words_has_words(value: int, locale: str) -> None:
    assert heard(phrasing.count(value, locale), locale)


@given(st.integers(1, 64), LOCALES)
def test_a_place_is_heard_as_itself(value: int, locale: str) -> None:
    assert hear_position(heard(phrasing.position(value, locale), locale), locale) == value


@given(st.datetimes(MOMENT.replace(year=1000, tzinfo=None), timezones=st.just(UTC)), LOCALES)
@example(datetime(2026, 3, 5, 9, 0, tzinfo=UTC), "zh-CN")
@example(datetime(2026, 3, 5, 0, 5, tzinfo=UTC), "en")
@example(datetime(2000, 1, 1, 12, 0, tzinfo=UTC), "en")
@example(datetime(2105, 1, 1, 12, 0, tzinfo=UTC), "en")
def test_a_moment_is_heard_as_itself(at: datetime, locale: str) -> None:
    assert hear_moment(heard(phrasing.moment(at, locale), locale), locale) == at.replace(
        second=0, microsecond=0
    )


@given(st.text("0123456789", min_size=1, max_size=64), LOCALES)
def test_a_code_is_heard_in_fours(code: str, locale: str) -> None:
    spoken = phrasing.code(code)
    assert hear_digits(heard(spoken, locale), locale) == code
    lengths, run = [], 0
    for item in (*spoken, Pause(ms=0)):
        if isinstance(item, Pause):
            lengths.append(run)
            run = 0
        else:
            run += 1
    assert lengths[:-1] == [4] * (len(lengths) - 1)
    assert 1 <= lengths[-1] <= 4


@given(
    st.from_regex(r"\+?[0-9]{1,4}([ -]?[0-9]{1,4}){0,4}", fullmatch=True).filter(
        lambda number: not number.startswith(("+86", "0086"))
    ),
    LOCALES,
)
@example("400-800-1234", "zh-CN")
@example("+442079460001", "en")
@example("+8 6", "zh-CN")
def test_a_telephone_number_is_heard_whole(number: str, locale: str) -> None:
    wanted = "".join(char for char in number if char in "+0123456789")
    assert hear_digits(heard(phrasing.telephone(number), locale), locale) == wanted


# numbers of the mainland behind its country code, each with what a caller there dials before it
MAINLAND = st.one_of(
    st.tuples(st.just(""), st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)),
    st.tuples(st.just(""), st.from_regex(r"[48]00[0-9]{7}", fullmatch=True)),
    st.tuples(st.just(""), st.from_regex(r"95[0-9]{3,6}|12[0-9]{3}|1[12][0-9]|100[0-9]{2}", fullmatch=True)),
    st.tuples(st.just("0"), st.from_regex(r"(10|2[0-9])[2-8][0-9]{7}", fullmatch=True)),
    st.tuples(st.just("0"), st.from_regex(r"[3-9][1-9][0-9][2-8][0-9]{6,7}", fullmatch=True)),
)


@given(MAINLAND, st.sampled_from(["+86", "0086"]), st.lists(st.integers(0, 11), max_size=4), LOCALES)
@example(("0", "1065551234"), "+86", [], "zh-CN")
@example(("", "4008001234"), "+86", [0, 3, 6], "en")
def test_a_number_of_the_mainland_is_heard_as_it_is_dialled_there(
    number: tuple[str, str], country: str, cuts: list[int], locale: str
) -> None:
    dialled, written = number[0] + number[1], number[1]
    for at in sorted(set(cuts), reverse=True):
        written = f"{written[:at]} {written[at:]}"
    words = heard(phrasing.telephone(country + written), locale)
    assert hear_digits(words, locale) == dialled
    assert not {"加", "plus", "一"} & set(words)
    # people who write the national number themselves hear the same
    assert hear_digits(heard(phrasing.telephone(dialled), locale), locale) == dialled


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("+861065551234", "零幺零六五五五幺二三四"),
        ("+86 (0)10 6555 1234", "零幺零六五五五幺二三四"),
        ("+86 010 6555 1234", "零幺零六五五五幺二三四"),
        ("+86 755 8888 0000", "零七五五八八八八零零零零"),
        ("+86 400-800-1234", "四零零八零零幺二三四"),
        ("+86 13800138000", "幺三八零零幺三八零零零"),
        ("+86 95001", "九五零零幺"),
        ("+852 2123 4567", "加八五二二幺二三四五六七"),
        ("+86", "加八六"),
    ],
)
def test_service_lines_follow_mandarin_practice(number: str, words: str) -> None:
    assert "".join(heard(phrasing.telephone(number), "zh-CN")) == words


@given(st.text("+0189 -()", max_size=24), LOCALES)
def test_whatever_is_written_as_a_number_has_words(text: str, locale: str) -> None:
    spoken = phrasing.telephone(text)
    assert bool(heard(spoken, locale)) is any(char.isdigit() for char in text)
    assert not spoken or not isinstance(spoken[-1], Pause)


@given(st.integers(-5, 10_000_000), LOCALES)
def test_every_wait_has_words(seconds: int, locale: str) -> None:
    assert heard(phrasing.waiting(seconds, locale), locale)


@pytest.mark.parametrize("locale", sorted(BOOKS))
def test_the_vocabulary_is_what_is_said(locale: str) -> None:
    assert phrasing.vocabulary(locale) <= BOOKS[locale].prompts.keys()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2, "两次"),
        (12, "十二次"),
        (22, "二十二次"),
        (102, "一百零二次"),
        (112, "一百一十二次"),
        (1002, "一千零二次"),
        (20_000, "两万次"),
    ],
)
def test_counts_follow_mandarin_practice(value: int, words: str) -> None:
    assert "".join(heard(phrasing.count(value, "zh-CN"), "zh-CN")) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1, "once"),
        (2, "twice"),
        (3, "three times"),
        (21, "twenty-one times"),
        (102, "one hundred and two times"),
    ],
)
def test_counts_follow_english_practice(value: int, words: str) -> None:
    assert " ".join(heard(phrasing.count(value, "en"), "en")) == words


def test_dates_are_said_as_people_say_them() -> None:
    at = MOMENT
    assert "".join(heard(phrasing.moment(at, "zh-CN"), "zh-CN")) == "二〇二六年三月五日上午九点十二分"
    on_the_hour = phrasing.moment(at.replace(minute=0), "zh-CN")
    assert "".join(heard(on_the_hour, "zh-CN")) == "二〇二六年三月五日上午九点"
    english = " ".join(heard(phrasing.moment(at, "en"), "en"))
    assert english == "the fifth of March twenty twenty-six at nine twelve in the morning"


def test_one_is_yao_in_codes_and_telephone_numbers_alone() -> None:
    assert "".join(heard(phrasing.code("1121"), "zh-CN")) == "幺幺二幺"
    assert "".join(heard(phrasing.telephone("110"), "zh-CN")) == "幺幺零"
    assert "幺" not in "".join(heard(phrasing.number(111, "zh-CN"), "zh-CN"))


@pytest.mark.parametrize(
    ("number", "groups"),
    [
        ("400-800-1234", [3, 3, 4]),
        ("4008001234", [3, 3, 4]),
        ("13800138000", [3, 4, 4]),
        ("+8613800138000", [3, 4, 4]),
        ("+861065551234", [3, 4, 4]),
        ("+8675588880000", [4, 4, 4]),
        ("+864111234567", [4, 3, 4]),
        ("+86 10 6555 1234", [3, 4, 4]),
        ("+864008001234", [3, 3, 4]),
        ("+442079460001", [3, 4, 4, 2]),
        ("010 12345678", [3, 8]),
        ("12315", [5]),
        ("no number", []),
    ],
)
def test_telephone_numbers_are_grouped_as_people_know_them(number: str, groups: list[int]) -> None:
    lengths = [0]
    for item in phrasing.telephone(number):
        if isinstance(item, Pause):
            lengths.append(0)
        else:
            lengths[-1] += 1
    assert [length for length in lengths if length] == groups


@pytest.mark.parametrize("value", [-1, phrasing.LARGEST + 1])
def test_a_number_out_of_bounds_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="not a number that is spoken"):
        phrasing.number(value, "en")
