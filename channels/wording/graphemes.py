"""Cut a name where a reader sees a gap: never inside a letter with its marks, a flag, or an emoji made of several.

The boundaries are those of UAX #29 (extended grapheme clusters) as far as names need them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

_JOINER: Final = "\u200d"
_ATTACHED: Final = frozenset({"Mn", "Mc", "Me"})


def cut(text: str, most: int, size: Callable[[str], int]) -> str:
    """Return the longest beginning of ``text`` of whole graphemes whose ``size`` is at most ``most``."""
    if size(text) <= most:
        return text
    kept = ""
    for grapheme in graphemes(text):
        if size(kept + grapheme) > most:
            break
        kept += grapheme
    return kept


def graphemes(text: str) -> list[str]:
    """Return what a reader takes for single characters, in order; joined they are ``text``."""
    found: list[str] = []
    for char in text:
        if found and _belongs(found[-1], char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _belongs(before: str, char: str) -> bool:
    last = before[-1]
    if last == "\r" and char == "\n":
        return True
    if unicodedata.category(last) in {"Cc", "Zl", "Zp"}:
        return False
    if _extends(char):
        return True
    if last == _JOINER:  # a family, a profession: the parts are symbols
        return unicodedata.category(char) == "So" and not _regional(char)
    if unicodedata.combining(last) == 9 and unicodedata.category(char) == "Lo":  # a virama
        return True
    if _regional(char):
        return len(before) == 1 and _regional(last)
    return _hangul_continues(last, char)


def _extends(char: str) -> bool:
    return (
        unicodedata.category(char) in _ATTACHED
        or char in {_JOINER, "\u200c", "\uff9e", "\uff9f", "\u0e33", "\u0eb3"}
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # colours of skin
        or "\U000e0020" <= char <= "\U000e007f"  # the letters of a region's flag
    )


def _regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _hangul_continues(last: str, char: str) -> bool:
    """Tell whether a Hangul letter goes on with the syllable before it (UAX #29, GB6 to GB8)."""
    if "\u1100" <= last <= "\u115f":
        return "\u1100" <= char <= "\u11a7" or "\uac00" <= char <= "\ud7a3"
    vowel = "\u1160" <= last <= "\u11a7"
    syllable = "\uac00" <= last <= "\ud7a3"
    open_syllable = vowel or (syllable and (ord(last) - 0xAC00) % 28 == 0)
    if "\u1160" <= char <= "\u11a7":
        return open_syllable
    return "\u11a8" <= char <= "\u11ff" and (vowel or syllable or "\u11a8" <= last <= "\u11ff")
