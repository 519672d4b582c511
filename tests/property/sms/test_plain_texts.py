"""The short way of reading a plain text finds what the long way finds, whatever stands around the digits."""

from __future__ import annotations

import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core.model import code as codes
from app.core.model.check_digits import check_digits_for
from app.core.model.code import PRESET_LENGTHS, Entry, find_plain_code
from channels import reading
from channels.reading import Meant

_LIVE = st.sampled_from([PRESET_LENGTHS, frozenset({16, 20, 24, 8}), frozenset({20}), frozenset({6, 16, 20})])
_LENGTH = st.sampled_from([6, 8, 16, 19, 20, 24, 32, 40])
_DIGITS = _LENGTH.flatmap(lambda length: st.text("0123456789", min_size=length - 2, max_size=length - 2)).map(
    lambda body: body + check_digits_for(body)
)
_GAPS = st.sampled_from(
    ["", " ", "-", "  ", " - ", " " * 9, "、", "　", ".", "一", "O", "\u200b", "\u00ad", "/"]
)
_NEAR = "0O1lI /q一二三〇○零。，：！（）A查码中文en\u200b\u00a0\u3000\u3003①Ⅷ½㍘ﬀ／０９．é\u0301😀々豈٣~·\n?"
_AROUND = st.text(st.one_of(st.sampled_from(_NEAR), st.characters(codec="utf-8")), max_size=12)
_TALK = st.sampled_from(
    [
        "",
        "你好，请帮我查一下 ",
        "EN ",
        "中文：",
        "english ",
        "please check ",
        "www．a．b ",
        " 谢谢",
        "/q/",
        "/21/",
    ]
)


@st.composite
def _texts(draw: st.DrawFn) -> str:
    digits, size = draw(_DIGITS), draw(st.integers(1, 12))
    gap = draw(_GAPS)
    group = gap.join(digits[at : at + size] for at in range(0, len(digits), size))
    return draw(_TALK) + draw(_AROUND) + group + draw(_AROUND) + draw(_TALK)


@settings(max_examples=1500)
@given(text=_texts(), lengths=_LIVE)
@example(text="1234 5678 9012 3456 7888", lengths=PRESET_LENGTHS)
@example(text="查一下 12345678901234567888 一二", lengths=PRESET_LENGTHS)
def test_both_ways_find_the_same_code(text: str, lengths: frozenset[int]) -> None:
    quick = find_plain_code(text, lengths=lengths)
    if quick is not None:
        assert quick == codes._read_any(text, Entry.TYPED, lengths)
    assert reading.understand(text, media=False, lengths=lengths) == reading._understand_any(
        text, media=False, lengths=lengths
    )
    assert reading.understand(text, media=True, lengths=lengths) == reading._understand_any(
        text, media=True, lengths=lengths
    )


def test_the_usual_texts_go_the_short_way() -> None:
    for text in (
        "你好，请帮我查一下 1234 5678 9012 3456 7888 谢谢",
        "EN 12345678901234567888",
        "1234-5678-9012-3456-7888",
    ):
        assert find_plain_code(text, lengths=PRESET_LENGTHS) is not None, text


def test_no_character_of_the_short_way_is_turned_into_what_matters() -> None:
    """Each of them alone, before and behind the digits: no part of the code, and no other language or command."""
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        if character not in "0123456789" and codes._ONE_GROUP.fullmatch(character + " 1"):
            plain = codes._plain(character)
            assert not any(digit.isdecimal() for digit in plain), hex(number)
            assert "/" not in plain, hex(number)
            assert character.isalpha() == plain.isalpha(), hex(number)


def test_no_command_holds_a_digit() -> None:
    assert not any(any(char.isdigit() for char in word) for word in reading._commands())
    assert reading.understand("12345678901234567888", media=False, lengths=PRESET_LENGTHS).kind is Meant.CODE
