"""How long a text is in a text message: GSM 7-bit septets or UCS-2 code units (3GPP TS 23.038, 6.2.1 and 6.2.3)."""

from __future__ import annotations

from typing import Final

GSM7_SEGMENT: Final = 160
UCS2_SEGMENT: Final = 70

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")


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
    """Return the 16-bit code units ``text`` takes."""
    return len(text.encode("utf-16-be")) // 2


def fits_one_segment(text: str) -> bool:
    """Tell whether ``text`` is one segment in the alphabet it needs."""
    septets = find_gsm7_length(text)
    return septets <= GSM7_SEGMENT if septets is not None else ucs2_length(text) <= UCS2_SEGMENT
