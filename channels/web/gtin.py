"""GTIN check digits (GS1 General Specifications, section 7.9.1), for Digital Link addresses."""

from __future__ import annotations

from typing import Final

_LENGTHS: Final = frozenset({8, 12, 13, 14})


def is_gtin(text: str) -> bool:
    """Tell whether ``text`` is 8, 12, 13 or 14 ASCII digits whose weighted sum (3, 1 from the right) ends in 0."""
    if len(text) not in _LENGTHS or not (text.isascii() and text.isdigit()):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(text))) % 10 == 0
