"""A code as a shopper gives it, and how it is found in whatever they sent.

The digits are found first, the code is proved later: reading never decides that something is false.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Final

from app.core.model.check_digits import check_digits_hold
from app.core.model.value import value

PRESET_LENGTHS: Final = frozenset({16, 20, 24})
MAX_TEXT_CHARS: Final = 4096
MAX_DIGITS: Final = 64
_SLIP_DIGITS: Final = 1  # one digit too many is a slip, not a code beside another number
MAX_READINGS: Final = 3  # proofs a message may cost: service rules, section 2

_HANZI_DIGITS: Final = {char: str(n) for n, chars in enumerate(
    ("〇零○", "一幺壹", "二贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")) for char in chars}  # fmt: skip


def _without(characters: range, left_out: Iterable[str]) -> str:
    """Return ``characters`` as the inside of a class of a pattern, those of ``left_out`` taken away."""
    edges = [characters.start - 1, *sorted(ord(c) for c in left_out if ord(c) in characters), characters.stop]
    return "".join(f"{chr(a + 1)}-{chr(b - 1)}" for a, b in pairwise(edges) if b - a > 1)


_HANZI: Final = f"[{''.join(_HANZI_DIGITS)}]"
_BETWEEN: Final = r"[\s\-\u2010-\u2015\u2212~\u301c/*•_.。,·・，、()]"
# A single hanzi numeral is usually a word (查一下); two together, or six set apart, are digits somebody wrote out.
_HANZI_RUN: Final = re.compile(
    f"{_HANZI}(?:{_BETWEEN}{{0,3}}{_HANZI}){{5,}}|{_HANZI}{{2,}}|(?<=[0-9]){_HANZI}(?=[0-9])"
)
# zero-width characters, marks of direction and emoji frames, which chat programs leave in pasted digits
_INVISIBLE: Final = dict.fromkeys(
    (0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0x20E3, 0xFE0E, 0xFE0F, 0xFEFF)
)
_LOOKALIKES: Final = str.maketrans({"O": "0", "o": "0", "l": "1", "I": "1"})
# The look-ahead finds the one digit that makes a word a number; possessive, or a long word would cost its square.
_LOOKALIKE_WORD: Final = re.compile(r"(?<![A-Za-z0-9])(?=[OolI]*[0-9])[0-9OolI]++(?![A-Za-z0-9])")
_LINK: Final = re.compile(r"/(?:q|21)/([0-9]{6,64})(?![0-9])")
_GROUP: Final = re.compile(f"[0-9]+(?:{_BETWEEN}{{1,8}}[0-9]+)*")
_RUN: Final = re.compile(r"[0-9]+")
# Nearly every message: one group of plain digits among words of which nothing that _plain does makes a digit, a letter
# that looks like one beside a digit, or a link. The only hanzi numeral before and after is a word (查一下).
_WORDS: Final = (
    "[\\t-\\r -.:-~\u2014\u2018\u2019\u201c\u201d\u2026\u3000-\u3002\u3008-\u3011\uff01-\uff0e\uff1a-\uff20"
    f"{_without(range(0x4E00, 0xA000), _HANZI_DIGITS)}]"
)
_AROUND: Final = f"{_WORDS}*+(?:{_HANZI}{_WORDS}*+)?+"
_ONE_GROUP: Final = re.compile(
    f"{_AROUND}(?<![A-Za-z])([0-9]++(?:[ \\-]{{1,8}}+[0-9]++)*+)(?![A-Za-z]){_AROUND}"
)
_PLAIN_CHARS: Final = 512
_NO_GAPS: Final = str.maketrans("", "", " -")
_OTHER_DIGIT: Final = re.compile(r"[^\D0-9]")  # a decimal digit of another script
_TILED_RUNS: Final = 64  # two codes written digit by digit, and more


class Entry(StrEnum):
    """How the code came in. A scanned code cannot hold a typing slip."""

    TYPED = "typed"
    SCANNED = "scanned"


@value
class Code:
    """Up to 64 ASCII digits as understood from the caller's input; may be empty or of a wrong length.

    Only :meth:`parse` and :func:`read_codes` make one. ``repr`` masks all but the last two digits, so that
    a code never reaches a log by accident.
    """

    digits: str
    entry: Entry = Entry.TYPED

    @staticmethod
    def parse(raw: str, *, entry: Entry = Entry.TYPED, lengths: frozenset[int] = PRESET_LENGTHS) -> Code:
        """Return the code that ``raw`` most likely means; see :func:`read_codes`."""
        return read_codes(raw, entry=entry, lengths=lengths).code

    def grouped(self) -> str:
        """Return the digits in groups of four, for reading back."""
        return " ".join(self.digits[i : i + 4] for i in range(0, len(self.digits), 4))

    def __repr__(self) -> str:
        return f"Code({self.masked()}, {self.entry.value})"

    def masked(self) -> str:
        """Return the length and the last two digits only, fit for a log line."""
        return f"{len(self.digits)}:**{self.digits[-2:]}" if self.digits else "0:"


@value
class Reading:
    """What was found in one text: the code to answer, further readings of it, and whether a second code is there."""

    code: Code
    others: tuple[Code, ...] = ()
    more_codes: bool = False


def read_codes(raw: str, *, entry: Entry = Entry.TYPED, lengths: frozenset[int] = PRESET_LENGTHS) -> Reading:
    """Find the code in a text of any layout: spaces, dashes, full-width or written digits, a sentence, a URL.

    Order (service rules, section 3): whole digit runs before runs joined over separators, then windows of
    them, each decided by the check digits; what is left is the likeliest attempt, so that a slip can be
    pointed at. Codes in groups that follow one another from end to end are told apart by their check digits too.
    At most three readings are returned. Never raises.
    """
    if raw.isascii() and raw.isdigit() and len(raw) in lengths:
        return Reading(code=Code(digits=raw, entry=entry))
    if (plain := find_plain_code(raw, entry=entry, lengths=lengths)) is not None:
        return plain
    return _read_any(raw, entry, lengths)


def _read_any(raw: str, entry: Entry, lengths: frozenset[int]) -> Reading:
    text = _plain(raw[:MAX_TEXT_CHARS])
    linked = [m for m in _LINK.findall(text) if len(m) in lengths]
    groups = [_RUN.findall(group) for group in _GROUP.findall(text)]
    runs = [run for group in groups for run in group]
    sound: list[str] = []
    tiled = (digits for group in groups for digits in _tiled(group, lengths))
    for candidates in (linked, tiled, runs, ("".join(group) for group in groups)):
        sound += [digits for digits in candidates if len(digits) in lengths and check_digits_hold(digits)]
    distinct = list(dict.fromkeys(sound))
    if distinct:
        return Reading(code=Code(digits=distinct[0], entry=entry), more_codes=len(distinct) > 1)
    # Nothing whole reads as a code. An attempt of a live length comes first, so that a slip stays a slip; digits cut
    # out of others satisfy the check digits by chance once in 97 times, so they answer only if they prove to be a
    # label's, those that begin and end where the sender paused before the rest.
    attempt = _attempt(linked, runs, groups, lengths)
    joined = [window for group in groups for window in _joined_windows(group, lengths)]
    cut = [window for group in groups for window in _sliding_windows("".join(group), lengths)]
    ordered = [attempt, *joined, *cut] if len(attempt) in lengths else [*joined, attempt, *cut]
    readings = list(dict.fromkeys(ordered))[:MAX_READINGS]
    code, *others = (Code(digits=digits[:MAX_DIGITS], entry=entry) for digits in readings)
    return Reading(code=code, others=tuple(others))


def find_plain_code(raw: str, *, entry: Entry = Entry.TYPED, lengths: frozenset[int]) -> Reading | None:
    """Return the code of a text whose only digits are one sound code of a live length, perhaps in groups; else None.

    What it returns is what :func:`read_codes` finds by its long way (a test holds the two together), in a sixth of
    the time.
    """
    found = _ONE_GROUP.fullmatch(raw) if len(raw) <= _PLAIN_CHARS else None
    if found is None:
        return None
    group = found[1]
    digits = group.translate(_NO_GAPS)
    # neither a part of it nor a row of shorter codes can be meant
    alone = len(digits) == len(group) or len(max(group.replace("-", " ").split(), key=len)) < min(lengths)
    if (
        len(digits) not in lengths
        or not alone
        or len(digits) >= 2 * min(lengths)
        or not check_digits_hold(digits)
    ):
        return None
    return Reading(code=Code(digits=digits, entry=entry))


def count_digits(raw: str) -> int:
    """Return how many digits a text holds in all, read as :func:`read_codes` reads them."""
    return sum(map(len, _RUN.findall(_plain(raw[:MAX_TEXT_CHARS]))))


def _plain(text: str) -> str:
    """Turn every decimal digit of any script, written-out hanzi digits and look-alike letters into ASCII digits."""
    if not text.isascii():
        text = text.translate(_INVISIBLE)
        text = unicodedata.normalize("NFKC", text)[:MAX_TEXT_CHARS]  # one character may become eighteen
        text = _OTHER_DIGIT.sub(_ascii_digit, text)
        text = _HANZI_RUN.sub(lambda m: "".join(_HANZI_DIGITS.get(c, c) for c in m[0]), text)
    return _LOOKALIKE_WORD.sub(lambda m: m[0].translate(_LOOKALIKES), text)


def _ascii_digit(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit[0]))


def _tiled(group: list[str], lengths: frozenset[int]) -> tuple[str, ...]:
    """Return the codes of which a group of several runs is made from its first digit to its last, or none."""
    if not 1 < len(group) <= _TILED_RUNS:
        return ()
    longest = max(lengths)
    codes_up_to: dict[int, tuple[str, ...]] = {0: ()}
    for start in range(len(group)):
        if start not in codes_up_to:
            continue
        joined = ""
        for end in range(start, len(group)):
            joined += group[end]
            if len(joined) > longest:
                break
            if len(joined) in lengths and check_digits_hold(joined):
                codes_up_to.setdefault(end + 1, (*codes_up_to[start], joined))
    return codes_up_to.get(len(group), ())


def _joined_windows(group: list[str], lengths: frozenset[int]) -> list[str]:
    """Return joins of neighbouring runs of one group that have a live length and sound check digits."""
    found = []
    longest = max(lengths)
    whole = sum(map(len, group))
    for start in range(min(len(group), 256)):
        joined = ""
        for run in group[start:]:
            joined += run
            if len(joined) > longest:
                break
            if len(joined) in lengths and whole - len(joined) > _SLIP_DIGITS and check_digits_hold(joined):
                found.append(joined)
    return found


def _sliding_windows(digits: str, lengths: frozenset[int]) -> list[str]:
    """Return windows of a longer digit string that have a live length and sound check digits, longest first."""
    found = []
    for length in sorted(lengths, reverse=True):
        if len(digits) - length <= _SLIP_DIGITS:
            continue
        for start in range(len(digits) - length + 1):
            window = digits[start : start + length]
            if check_digits_hold(window):
                found.append(window)
                if len(found) >= MAX_READINGS:
                    return found
    return found


def _attempt(linked: list[str], runs: list[str], groups: list[list[str]], lengths: frozenset[int]) -> str:
    """Return the digits the caller most likely meant as a code although no check digits hold."""
    whole = ["".join(group) for group in groups]
    for candidates in (linked, runs, whole):
        for digits in candidates:
            if len(digits) in lengths:
                return digits
    return max(whole, key=len, default="")
