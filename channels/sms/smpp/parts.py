"""Long texts come in parts: which part a delivery is, and the parts of one text put together.

Parts wait in memory, because a centre with a window of one sends the next part only after the last is acknowledged. A
part that was acknowledged and whose text never became whole is not thrown away: what came is asked about with a gap.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from dataclasses import dataclass, field, replace
from typing import Final

from channels.base import Clock
from channels.sms.smpp.alphabets import decode_text
from channels.sms.smpp.wire import Delivery

SAR_MSG_REF_NUM: Final = 0x020C
SAR_TOTAL_SEGMENTS: Final = 0x020E
SAR_SEGMENT_SEQNUM: Final = 0x020F

_GAP: Final = " … "  # digits on its two sides are not one number
_LONGEST_PART: Final = 255  # octets; the air carries 140, and a centre may write them wider
_MOST_JOINING: Final = 2000
_MOST_OF_ONE: Final = (
    20  # texts of one number that are not whole: a stranger may fill his own room, not everybody's
)
_MOST_PARTS: Final = 20_000
_MOST_JOINED: Final = 2000
_REMEMBER_S: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartKey:
    """What the parts of one text have in common. ``reference`` says how they are numbered, the number and the total."""

    source: str
    destination: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of several; ``number`` from 1 to ``total``. ``delivery`` is what brought it."""

    key: PartKey
    number: int
    total: int
    octets: bytes = field(repr=False)
    delivery: Delivery = field(repr=False)


def read_part(delivery: Delivery) -> tuple[Part | None, bytes]:
    """Return the part a delivery is (None for a whole text) and its octets without a user data header."""
    octets = delivery.user_data
    numbering: tuple[str, int, int] | None = None
    if delivery.has_udh and octets and len(octets) > octets[0]:
        numbering = _find_numbering(octets[1 : octets[0] + 1])
        octets = octets[octets[0] + 1 :]
    numbering = numbering or _sar_numbering(delivery)
    if numbering is None:
        return None, octets
    reference, total, number = numbering
    if total < 2 or not 1 <= number <= total or len(octets) > _LONGEST_PART:
        return None, octets
    key = PartKey(source=delivery.source, destination=delivery.destination, reference=f"{reference}/{total}")
    bare = replace(delivery, user_data=b"", tlvs={})  # parts wait, and a centre may attach 64 KiB to each
    return Part(key=key, number=number, total=total, octets=octets, delivery=bare), octets


def _find_numbering(header: bytes) -> tuple[str, int, int] | None:
    """Find element 0 (8-bit reference) or 8 (16-bit) of a user data header (3GPP TS 23.040, 9.2.3.24.1 and .8)."""
    at = 0
    while at + 2 <= len(header):
        element, length = header[at], header[at + 1]
        content = header[at + 2 : at + 2 + length]
        if element == 0x00 and len(content) == 3:
            return f"udh8:{content[0]}", content[1], content[2]
        if element == 0x08 and len(content) == 4:
            return f"udh16:{content[0] << 8 | content[1]}", content[2], content[3]
        at += 2 + length
    return None


def _sar_numbering(delivery: Delivery) -> tuple[str, int, int] | None:
    values = [
        delivery.tlvs.get(tag, b"") for tag in (SAR_MSG_REF_NUM, SAR_TOTAL_SEGMENTS, SAR_SEGMENT_SEQNUM)
    ]
    if not all(values):
        return None
    reference, total, number = (int.from_bytes(octets, "big") for octets in values)
    return f"sar:{reference}", total, number


class Joining:
    """The parts of one text that came so far."""

    def __init__(self, first: Part, *, began_s: float) -> None:
        self.key = first.key
        self.total = first.total
        self.delivery = first.delivery
        self.began_s = began_s
        self.tries = 0
        self.is_under_way = False
        self.carried: asyncio.Future[int] | None = None  # for parts that wait to share the result
        self._parts: dict[int, Part] = {}

    def add(self, part: Part) -> None:
        """Keep a part; the same part again changes nothing."""
        self._parts[part.number] = part

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def is_whole(self) -> bool:
        """Whether no part is missing."""
        return len(self._parts) == self.total

    @property
    def contents(self) -> frozenset[tuple[int, bytes]]:
        """What came, to recognise it when it comes again."""
        return frozenset((part.number, part.octets) for part in self._parts.values())

    def text(self) -> str | None:
        """Return the text, with a mark where parts are missing, or None where it is no text. A character may be cut
        across parts, so neighbours in one alphabet are decoded together.
        """
        runs: list[tuple[int, bytes]] = []
        last = 0
        texts: list[str] = []
        for number in sorted(self._parts):
            part = self._parts[number]
            if number != last + 1:
                texts.append(_decode(runs) + _GAP)
                runs = []
            runs.append((part.delivery.data_coding, part.octets))
            last = number
        texts.append(_decode(runs) + ("" if last == self.total else _GAP))
        codings = {part.delivery.data_coding for part in self._parts.values()}
        if all(decode_text(coding, b"") is None for coding in codings):
            return None
        return "".join(texts)


def _decode(runs: list[tuple[int, bytes]]) -> str:
    merged: list[tuple[int, bytes]] = []
    for coding, octets in runs:
        if merged and merged[-1][0] == coding:
            merged[-1] = (coding, merged[-1][1] + octets)
        else:
            merged.append((coding, octets))
    return "".join(decode_text(coding, octets) or "" for coding, octets in merged)


class Assembly:
    """All texts that are still coming, and those that lately became whole."""

    def __init__(self, clock: Clock, *, missing_s: float) -> None:
        self._clock = clock
        self._missing_s = missing_s
        self._joining: OrderedDict[PartKey, Joining] = OrderedDict()
        self._joined: OrderedDict[PartKey, tuple[float, frozenset[tuple[int, bytes]]]] = OrderedDict()
        self._by_source: Counter[str] = Counter()
        self._parts = 0

    def add(self, part: Part) -> Joining | None:
        """Return the text that ``part`` belongs to, or None where too many are waiting already."""
        joining = self._joining.get(part.key)
        if self._parts >= _MOST_PARTS:
            return None
        if joining is None:
            if len(self._joining) >= _MOST_JOINING or self._by_source[part.key.source] >= _MOST_OF_ONE:
                return None
            joining = self._joining[part.key] = Joining(part, began_s=self._clock.monotonic_s())
            self._by_source[part.key.source] += 1
        before = len(joining)
        joining.add(part)
        self._parts += len(joining) - before
        return joining

    def close(self, joining: Joining) -> None:
        """Forget a text that was carried, but know its parts when one of them is delivered again."""
        self._drop(joining)
        self._joined[joining.key] = (self._clock.monotonic_s(), joining.contents)
        self._joined.move_to_end(joining.key)
        if len(self._joined) > _MOST_JOINED:
            self._joined.popitem(last=False)

    def take_overdue(self) -> list[Joining]:
        """Return texts whose missing parts have had their time; a part of a text that was carried is dropped."""
        now_s = self._clock.monotonic_s()
        overdue = [
            joining
            for joining in self._joining.values()
            if now_s - joining.began_s >= self._missing_s and not joining.is_under_way
        ]
        for joining in overdue:
            if self._is_echo(joining, now_s):
                self._drop(joining)
        return [joining for joining in overdue if joining.key in self._joining]

    def give_up(self, joining: Joining) -> None:
        """Drop a text that cannot be carried."""
        self._drop(joining)

    def _drop(self, joining: Joining) -> None:
        if self._joining.pop(joining.key, None) is None:
            return
        source = joining.key.source
        self._parts -= len(joining)
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]

    def _is_echo(self, joining: Joining, now_s: float) -> bool:
        carried_s, contents = self._joined.get(joining.key, (-_REMEMBER_S, frozenset()))
        return now_s - carried_s < _REMEMBER_S and joining.contents <= contents
