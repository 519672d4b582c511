"""Wrong codes that lie close together: several tags tried on one serial, or several codes close to one label's.

Neither happens to people who mistype, because check digits catch that first. Bounded: what was seen longest ago goes.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Final

_WITHIN_S: Final = 86_400.0
_ONSET: Final = 5
_GROUPS: Final = 10_000
_KNOWN: Final = 20_000
_SLOTS: Final = 100_003  # a prime, so that blocks of five digits hardly meet
_NEAR: Final = 3
_BLOCKS: Final = 4  # codes that differ in three places are equal in one of them
_TAG_DIGITS: Final = 9  # tag and check digits (service rules, section 2)
_ISSUED_LENGTHS: Final = frozenset({16, 20, 24})


class Closeness(StrEnum):
    """In what way wrong codes lie close together."""

    WRONG_TAGS = "wrong_tags"
    NEAR_LABEL = "near_label"


@dataclass(slots=True)
class _Group:
    since_s: float
    members: set[str] = field(default_factory=set)


class _Groups:
    """Different members by group; tells once a group and day when there are :data:`_ONSET`."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, _Group] = OrderedDict()

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, name: str, member: str, now_s: float) -> bool:
        """Return whether ``member`` is the one that makes the group a burst."""
        group = self._groups.get(name)
        if group is None or now_s - group.since_s >= _WITHIN_S:
            group = self._groups[name] = _Group(now_s)
        self._groups.move_to_end(name)
        if len(self._groups) > _GROUPS:
            self._groups.popitem(last=False)
        if len(group.members) >= _ONSET or member in group.members:
            return False
        group.members.add(member)
        return len(group.members) == _ONSET


class Neighbourhoods:
    """Counts by serial and by the labels that were asked about last; not for several threads at once.

    Codes stay in memory and are never written. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._serials = _Groups()
        self._labels = _Groups()
        self._ring: list[str] = [""] * _KNOWN
        self._next = 0
        self._places = tuple(
            array("I", bytes(4 * _SLOTS)) for _ in range(_BLOCKS)
        )  # place in the ring, from 1

    def note_label(self, digits: str) -> None:
        """Remember the code of a label that is in the record; the oldest of some 20,000 goes."""
        firsts, seconds, thirds, fourths = self._places
        first = int(digits[: len(digits) // _BLOCKS] or "0") % _SLOTS
        if self._ring[firsts[first] - 1] == digits:  # as of most that are sold just now
            return
        _, second, third, fourth = _slots(digits)
        self._ring[self._next] = digits
        place = self._next + 1
        firsts[first] = seconds[second] = thirds[third] = fourths[fourth] = place
        self._next = place % _KNOWN

    def note_wrong(self, digits: str, now_s: float) -> tuple[Closeness, ...]:
        """Count a code that is in no record, and sound in itself; return what begins with it."""
        return tuple(closeness for closeness, _ in self.find_onsets(digits, now_s))

    def find_onsets(self, digits: str, now_s: float) -> list[tuple[Closeness, str]]:
        """Do as :meth:`note_wrong`, and tell beside each the serial or the label's code that it is about."""
        found = []
        if len(digits) in _ISSUED_LENGTHS:
            serial, tag = f"{len(digits)} {digits[:-_TAG_DIGITS]}", digits[-_TAG_DIGITS:]
            if self._serials.add(serial, tag, now_s):
                found.append((Closeness.WRONG_TAGS, serial))
        near = self._find_near(digits)
        if near is not None and self._labels.add(near, digits, now_s):
            found.append((Closeness.NEAR_LABEL, near))
        return found

    def _find_near(self, digits: str) -> str | None:
        """Return a label's code that differs in three places at most, unless newer ones hide it in every block."""
        for places, slot in zip(self._places, _slots(digits), strict=True):
            place = places[slot]
            known = self._ring[place - 1] if place else ""
            if len(known) == len(digits) and 0 < _distance(known, digits) <= _NEAR:
                return known
        return None


def _slots(digits: str) -> tuple[int, int, int, int]:
    """Return a slot for each of four blocks. Written out, because it is done for every query that is answered."""
    one, two, three = _cuts(len(digits))
    return (
        int(digits[:one] or "0") % _SLOTS,
        int(digits[one:two] or "0") % _SLOTS,
        int(digits[two:three] or "0") % _SLOTS,
        int(digits[three:] or "0") % _SLOTS,
    )


@cache
def _cuts(length: int) -> tuple[int, int, int]:
    return length // 4, length * 2 // 4, length * 3 // 4


def _distance(one: str, other: str) -> int:
    """Return in how many places two codes of one length differ (Hamming)."""
    return sum(a != b for a, b in zip(one, other, strict=True))
