"""Segments are counted as a message centre would fill them: against the octets themselves, cut differently."""

from __future__ import annotations

import pytest
from aiosmpplib.codec import GSM_BASIC_DECODE_MAP, GSM_EXTENDED_DECODE_MAP
from hypothesis import example, given
from hypothesis import strategies as st

from channels.wording.graphemes import cut, graphemes
from channels.wording.segments import (
    Encoding,
    find_gsm7_length,
    fits_one_segment,
    segments_of,
    ucs2_length,
)

_SEPTETS = {char: bytes((septet,)) for septet, char in GSM_BASIC_DECODE_MAP.items()} | {
    char: bytes((0x1B, septet)) for septet, char in GSM_EXTENDED_DECODE_MAP.items()
}
_GSM7_TEXT = st.text(st.sampled_from(sorted(_SEPTETS)), max_size=700)
_UCS2_TEXT = st.text(
    st.sampled_from("验真a1 😀𠮷é€[\n") | st.characters(exclude_categories=["Cs"]), max_size=320
)


def counted_by_octets(text: str) -> tuple[str, int, int]:
    """Fill parts octet by octet; one that ends in half a character gives that half to the next."""
    if all(char in _SEPTETS for char in text):
        stream = b"".join(_SEPTETS[char] for char in text)
        if len(stream) <= 160:
            return "GSM-7", len(stream), min(len(stream), 1)
        parts, rest = 0, stream
        while rest:
            taken = rest[:153]
            if taken[-1] == 0x1B and len(rest) > 153:
                taken = taken[:-1]
            parts, rest = parts + 1, rest[len(taken) :]
        return "GSM-7", len(stream), parts
    stream = text.encode("utf-16-be")
    if len(stream) <= 140:
        return "UCS-2", len(stream) // 2, 1
    parts, rest = 0, stream
    while rest:
        taken = rest[:134]
        if 0xD8 <= taken[-2] <= 0xDB:
            taken = taken[:-2]
        parts, rest = parts + 1, rest[len(taken) :]
    return "UCS-2", len(stream) // 2, parts


@given(_GSM7_TEXT)
@example("a" * 160)
@example("a" * 161)
@example("a" * 152 + "€" + "a" * 10)
@example("€" * 80)
@example("€" * 81)
@example("€" * 153)
def test_a_gsm7_text_is_counted_like_its_septets(text: str) -> None:
    assert segments_of(text) == counted_by_octets(text)
    assert find_gsm7_length(text) == segments_of(text).units


@given(_UCS2_TEXT)
@example("验" * 70)
@example("验" * 71)
@example("验" * 66 + "😀" + "验" * 10)
@example("😀" * 35)
@example("😀" * 36)
@example("")
def test_any_text_is_counted_like_its_octets(text: str) -> None:
    assert segments_of(text) == counted_by_octets(text)
    assert fits_one_segment(text) == (segments_of(text).segments <= 1)
    assert ucs2_length(text) == len(text.encode("utf-16-be")) // 2


def test_the_alphabet_is_that_of_the_standard() -> None:
    for point in (*range(0xD800), *range(0xE000, 0x11000)):
        char = chr(point)
        assert find_gsm7_length(char) == (len(_SEPTETS[char]) if char in _SEPTETS else None), hex(point)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("a" * 160, Encoding.GSM7, 160, 1),
        ("a" * 161, Encoding.GSM7, 161, 2),
        ("a" * 306, Encoding.GSM7, 306, 2),
        ("a" * 152 + "€" + "a" * 152, Encoding.GSM7, 306, 3),
        ("验" * 134, Encoding.UCS2, 134, 2),
        ("验" * 66 + "😀" + "验" * 66, Encoding.UCS2, 134, 3),
        ("ç", Encoding.UCS2, 1, 1),
        ("Ç", Encoding.GSM7, 1, 1),
        ("`", Encoding.UCS2, 1, 1),
        ("\ud800", Encoding.UCS2, 1, 1),
    ],
)
def test_known_counts(text: str, encoding: Encoding, units: int, segments: int) -> None:
    assert segments_of(text) == (encoding, units, segments)


@given(st.text(max_size=40), st.integers(0, 30))
def test_a_name_is_cut_between_graphemes(text: str, most: int) -> None:
    parts = graphemes(text)
    assert "".join(parts) == text
    kept = cut(text, most, ucs2_length)
    assert ucs2_length(kept) <= most
    assert any("".join(parts[:n]) == kept for n in range(len(parts) + 1))


@pytest.mark.parametrize(
    "whole",
    [
        "👨\u200d👩\u200d👧", "👍🏽", "🇨🇳", "e\u0301", "❤\ufe0f", "각", "\u1100\u1161\u11a8", "1\ufe0f\u20e3",
        "กำ", "क्षि", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\r\n",
    ],
)  # fmt: skip
def test_what_reads_as_one_character_stays_whole(whole: str) -> None:
    assert graphemes(f"验{whole}a{whole}真") == ["验", whole, "a", whole, "真"]


def test_flags_are_pairs() -> None:
    assert graphemes("🇨🇳🇬🇧🇨") == ["🇨🇳", "🇬🇧", "🇨"]
