"""How long a text is in text messages: GSM 7-bit septets or UCS-2 code units, and how many segments they fill.

Source: 3GPP TS 23.038, 6.2.1 (default alphabet and its extension table) and TS 23.040, 9.2.3.24.1: a concatenated
part gives six octets to its header, which leaves 153 septets or 67 code units.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

GSM7_SEGMENT: Final = 160
UCS2_SEGMENT: Final = 70
GSM7_PART: Final = 153
UCS2_PART: Final = 67

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")


class Encoding(StrEnum):
    """The alphabet a text needs: the default one where every character is in it, UCS-2 otherwise."""

    GSM7 = "GSM-7"
    UCS2 = "UCS-2"


class SegmentCount(NamedTuple):
    """``units`` are septets or 16-bit code units; ``segments`` is what the text is charged as."""

    encoding: Encoding
    units: int
    segments: int


def segments_of(text: str) -> SegmentCount:
    """Return alphabet, units and segments of ``text``; the empty text, which nobody sends, is 0 segments.

    A part is never filled up by half an extension pair or half a surrogate pair: such a character moves to the
    next part whole.
    """
    septets = find_gsm7_length(text)
    if septets is not None:
        sizes = [2 if char in _EXTENDED else 1 for char in text]
        return SegmentCount(Encoding.GSM7, septets, _parts(sizes, septets, GSM7_SEGMENT, GSM7_PART))
    sizes = [2 if ord(char) > 0xFFFF else 1 for char in text]
    units = sum(sizes)
    return SegmentCount(Encoding.UCS2, units, _parts(sizes, units, UCS2_SEGMENT, UCS2_PART))


def _parts(sizes: list[int], units: int, whole: int, part: int) -> int:
    if units <= whole:
        return 1 if units else 0
    parts, filled = 1, 0
    for size in sizes:
        if filled + size > part:
            parts, filled = parts + 1, 0
        filled += size
    return parts


def find_gsm7_length(text: str) -> int | None:
    """Return the septets ``text`` takes, or None where a character is outside the GSM 7-bit alphabet."""
    length = 0
    for char in text:
        if char in _BASIC:
            length += 1
        elif char in _EXTENDED:
            length += 2
        else:
            return None
    return length


def ucs2_length(text: str) -> int:
    """Return the 16-bit code units ``text`` takes; a character beyond the basic plane takes two."""
    return sum(2 if char > "\uffff" else 1 for char in text)


def fits_one_segment(text: str) -> bool:
    """Tell whether ``text`` is one segment in the alphabet it needs."""
    septets = find_gsm7_length(text)
    return septets <= GSM7_SEGMENT if septets is not None else ucs2_length(text) <= UCS2_SEGMENT
