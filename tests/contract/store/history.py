"""Whether the answers that people got, and the record behind them, are one history: what no machine's death may break.

The order in time is that of one monotonic clock: who asked after another's answer came has the higher ordinal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Event:
    """One query as its asker saw it."""

    ordinal: int
    started_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A verdict that somebody was told, from the first try of its message to the answer that came.

    ``told_first`` is whether the words said that nobody had asked before.
    """

    label: Hashable
    message: Hashable
    ordinal: int
    told_first: bool
    started_ns: int
    ended_ns: int

    @property
    def event(self) -> Event:
        """The same without what was asked."""
        return Event(self.ordinal, self.started_ns, self.ended_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A fact of the record that has an ordinal."""

    label: Hashable
    ordinal: int
    is_first: bool


def disorder(events: Iterable[Event]) -> list[Event]:
    """Return the events whose answer had come before one of a lower ordinal was even asked."""
    latest_start, wrong = 0, []
    for event in sorted(events, key=lambda event: event.ordinal):
        if event.ended_ns < latest_start:
            wrong.append(event)
        latest_start = max(latest_start, event.started_ns)
    return wrong


def faults(answers: Sequence[Answer], record: Iterable[Recorded]) -> list[str]:
    """Return what is wrong with a history in plain words, empty for a whole one.

    An ordinal that nobody was told is none, as long as its fact is in the record.
    """
    facts: dict[Hashable, list[Recorded]] = {}
    for fact in record:
        facts.setdefault(fact.label, []).append(fact)
    told: dict[Hashable, list[Answer]] = {}
    for answer in answers:
        told.setdefault(answer.label, []).append(answer)
    return [
        *(fault for label, kept in facts.items() for fault in _record_faults(label, kept)),
        *(
            fault
            for label, heard in told.items()
            for fault in _label_faults(label, heard, facts.get(label, []))
        ),
        *_message_faults(answers),
    ]


def _record_faults(label: Hashable, facts: Sequence[Recorded]) -> Iterator[str]:
    counted = Counter(fact.ordinal for fact in facts)
    if sorted(counted.elements()) != list(range(1, len(facts) + 1)):
        wrong = [number for number in range(1, max(counted) + 1) if counted[number] != 1]
        yield f"{label}: the record has these ordinals not once: {wrong[:5]}"
    if any(fact.is_first is not (fact.ordinal == 1) for fact in facts):
        yield f"{label}: the record calls another than ordinal 1 the first"


def _label_faults(label: Hashable, answers: Sequence[Answer], facts: Sequence[Recorded]) -> Iterator[str]:
    messages: dict[int, set[Hashable]] = {}
    for answer in answers:
        messages.setdefault(answer.ordinal, set()).add(answer.message)
    if doubled := sorted(number for number, askers in messages.items() if len(askers) > 1):
        yield f"{label}: several were told the ordinals {doubled[:5]}"
    if len({answer.message for answer in answers if answer.told_first}) > 1:
        yield f"{label}: several were told that they are the first"
    if any(answer.told_first is not (answer.ordinal == 1) for answer in answers):
        yield f"{label}: somebody was told another than ordinal 1 as the first"
    if lost := sorted(messages.keys() - {fact.ordinal for fact in facts}):
        yield f"{label}: told, but not in the record: {lost[:5]}"
    if wrong := disorder(answer.event for answer in answers):
        yield f"{label}: answered before a lower ordinal was asked: {[event.ordinal for event in wrong[:5]]}"


def _message_faults(answers: Iterable[Answer]) -> Iterator[str]:
    def key(answer: Answer) -> str:
        return repr(answer.message)

    for message, heard in groupby(sorted(answers, key=key), key=key):
        ordinals = sorted({answer.ordinal for answer in heard})
        if len(ordinals) > 1:
            yield f"message {message}: answered with the ordinals {ordinals[:5]}"
