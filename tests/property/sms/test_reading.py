"""A code is found in whatever sentence and layout it is texted, no command swallows it, and no text is dear to read."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.model.check_digits import check_digits_for
from app.core.model.code import MAX_DIGITS, MAX_READINGS, PRESET_LENGTHS
from channels.reading import Meant, Understood, understand

_AT_ONCE_S = 0.2  # measured: 25 ms at most on a busy core; the square of 10^5 costs minutes


def read(text: str) -> Understood:
    return understand(text, media=False, lengths=PRESET_LENGTHS)


_BODIES = st.sampled_from(sorted(PRESET_LENGTHS)).flatmap(
    lambda length: st.text("0123456789", min_size=length - 2, max_size=length - 2)
)
_CODES = _BODIES.map(lambda body: body + check_digits_for(body))
_SCRIPTS = st.sampled_from(
    [
        {},
        str.maketrans("0123456789", "０１２３４５６７８９"),
        str.maketrans("0123456789", "〇一二三四五六七八九"),
        str.maketrans("0123456789", "零幺二三四五六七八九"),
        str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"),
    ]
)
_SEPARATORS = st.sampled_from([" ", "-", "\n", "\r\n", "\u3000", " - ", "—", "－", ".", "\u00a0", "，"])
_BEFORE = st.sampled_from(
    [
        "", "请查", "查一下", "EN ", "en:", "英文 ", "stop ", "退订", "please check ", "码:", "【验真】", "😀", "?",
        "Dear sir, ",
    ]
)  # fmt: skip
_AFTER = st.sampled_from(["", "是真的吗", "，谢谢", " thanks", "。", " help", "!", "\n", "😀", " STOP", "#"])


@st.composite
def _layouts(draw: st.DrawFn) -> tuple[str, str]:
    digits = draw(_CODES)
    size = draw(st.sampled_from([2, 3, 4, 5, 6, 8, len(digits)]))
    between = draw(_SEPARATORS)
    parts = [digits[at : at + size] for at in range(0, len(digits), size)]
    return digits, between.join(parts).translate(draw(_SCRIPTS))


@given(layout=_layouts(), before=_BEFORE, after=_AFTER)
def test_the_code_is_found_in_any_sentence_and_layout(
    layout: tuple[str, str], before: str, after: str
) -> None:
    digits, written = layout
    understood = read(f"{before}{written}{after}")
    assert understood.kind is Meant.CODE
    assert understood.reading is not None
    found = [understood.reading.code.digits, *(other.digits for other in understood.reading.others)]
    # a part may by chance hold as a code by itself: then both are tried, or the whole is told to be another
    assert digits in found or understood.reading.more_codes


@given(layout=_layouts(), mobile=st.integers(13_000_000_000, 19_999_999_999), first=st.booleans())
def test_a_mobile_number_beside_the_code_is_not_the_code(
    layout: tuple[str, str], mobile: int, first: bool
) -> None:
    digits, written = layout
    text = f"我的手机{mobile}，码 {written}" if first else f"码 {written}，手机{mobile}"
    reading = read(text).reading
    assert reading is not None
    found = [reading.code.digits, *(other.digits for other in reading.others)]
    assert digits in found or reading.more_codes or len(found) == MAX_READINGS


@given(
    one=_CODES, two=_CODES, size=st.sampled_from([4, 5, 24]), between=st.sampled_from(["\n", " ", "和", ", "])
)
def test_of_two_codes_the_first_is_read_and_the_second_told(
    one: str, two: str, size: int, between: str
) -> None:
    grouped = [" ".join(code[at : at + size] for at in range(0, len(code), size)) for code in (one, two)]
    reading = read(between.join(grouped)).reading
    assert reading is not None
    # in rare groupings two other cuts hold by chance (once in 97 x 97); then as well two codes are told
    assert reading.more_codes == (one != two)
    assert reading.code.digits == one or (size < 24 and reading.more_codes)


@given(
    command=st.sampled_from(["EN", "中文", "HELP", "?", "STOP", "T", "退订", "START", "恢复", "取消"]),
    code=_CODES,
    between=st.sampled_from(["", " ", "\n", ": ", "，"]),
    first=st.booleans(),
)
def test_a_command_never_swallows_a_code(command: str, code: str, between: str, first: bool) -> None:
    parts = (command, code) if first else (code, command)
    understood = read(between.join(parts))
    assert understood.kind is Meant.CODE
    assert understood.reading is not None
    assert understood.reading.code.digits == code


_NEAR_TEXTS = st.text("0123456789一二三 -\n／ENen?。STOP退订😀\ud800\u200b", max_size=400)


@given(text=st.text(max_size=400) | _NEAR_TEXTS, media=st.booleans())
@example(text="\ud800", media=False)
@example(text="ﷺ" * 300, media=True)
@example(text="İ", media=False)
def test_any_text_is_understood(text: str, media: bool) -> None:
    understood = understand(text, media=media, lengths=PRESET_LENGTHS)
    assert (understood.reading is not None) == (understood.kind is Meant.CODE)
    assert understood.locale in {"", "zh-CN", "en"}
    assert (understood.argument != "") == (understood.kind is Meant.LANGUAGE)
    if understood.reading is not None:
        found = [understood.reading.code, *understood.reading.others]
        assert len(found) <= MAX_READINGS
        assert all(len(code.digits) <= MAX_DIGITS for code in found)


@pytest.mark.parametrize(
    "text",
    [
        "0" * 100_000,
        "0 " * 50_000,
        "a" * 100_000,
        "." * 100_000,
        " " * 100_000,
        "Ol" * 50_000,
        "一 " * 50_000,
        "/." * 50_000,
        "\ufdfa" * 100_000,
        "\u0301\u0323" * 50_000,
        "\u200b" * 100_000,
        "stop" + "!" * 100_000,
        "EN " + "1-" * 50_000,
        "https://" * 12_500,
        "退订" * 50_000,
        "\ud800" * 100_000,
    ],
    ids=lambda text: ascii(text[:6]),
)
def test_a_hostile_text_is_understood_at_once(text: str) -> None:
    quickest = 10.0
    for _ in range(3):
        started = time.thread_time()  # of the processor: others share the machine
        read(text)
        quickest = min(quickest, time.thread_time() - started)
    assert quickest < _AT_ONCE_S
