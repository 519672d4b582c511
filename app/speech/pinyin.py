"""Pinyin with tone marks, as people write how a name is said, turned into the numbered form that voices read."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_TONES: Final = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
_WORD: Final = re.compile(r"[a-z\u0300\u0301\u0304\u0308\u030c]+", re.IGNORECASE)
_SYLLABLE: Final = re.compile(
    r"(?![bpfjqxw]e(?![in]))(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?"
    r"(?:iang|iong|uang|ang|eng|ing|ong|uai|iao|ian|uan|van|ai|ei|ao|ou|an|en|in|un|vn|ia|ie|iu|ua|uo|ui|ue|ve|er"
    r"|[aoeiuv])",
    re.IGNORECASE,
)


def number_tones(text: str) -> str:
    """Return ``text`` with marked syllables numbered: ``hǎi àn`` becomes ``hai3 an4``, ``lǜ`` becomes ``lv4``.

    Only words that are pinyin throughout and carry a mark are touched, so that Café and Nestlé stay what they are.
    """
    apart = unicodedata.normalize("NFD", text)
    if not any(mark in apart for mark in _TONES):
        return text
    return unicodedata.normalize("NFC", _WORD.sub(lambda found: _numbered(found[0]), apart))


def _numbered(word: str) -> str:
    letters: list[str] = []
    tones: dict[int, str] = {}  # by the letter they stand on
    for char in word:
        if char in _TONES:
            tones[len(letters) - 1] = _TONES[char]
        elif char == "\u0308":
            letters[-1:] = "v" if letters and letters[-1] in "uU" else letters[-1:]
        else:
            letters.append(char)
    plain = "".join(letters)
    syllables = _split(plain)
    if not tones or syllables is None:
        return word
    numbered, at = [], 0
    for syllable in syllables:
        tone = next((tones[place] for place in range(at, at + len(syllable)) if place in tones), "")
        numbered.append(syllable + tone)
        at += len(syllable)
    return " ".join(numbered)


def _split(word: str) -> list[str] | None:
    """Return the syllables of a word, or None where it is not pinyin. A consonant goes with the vowel after it."""
    syllables, at = [], 0
    while at < len(word):
        found = _SYLLABLE.match(word, at)
        if found is None:
            return None
        end = found.end()
        # "nang" in "hainan ganguo": a closing n or g belongs to the next syllable where a vowel follows it
        if end < len(word) and word[end - 1] in "ngr" and word[end] in "aoeiuv" and end - at > 2:
            end -= 1
        syllables.append(word[at:end])
        at = end
    return syllables
