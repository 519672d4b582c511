"""The spoken form of an answer: phrases of the prompt catalogue, in the order they are played.

One file serves every language, because both put the facts in the same order; the sentences differ, and stand in
``voice_prompts``. Nothing here knows a sound.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from app.core.model.verdict import Verdict
from app.speech import phrasing
from app.speech.spoken import Name, Pause, Phrase, Spoken
from channels.wording.book import Book
from channels.wording.values import first_at, own_at
from channels.wording.variants import Variant

_FILE: Final = Path(__file__).with_name("spoken.toml")
_NAME_PAUSE: Final = Pause(ms=120)
_LINE_PAUSE: Final = Pause(ms=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenForms:
    """What is spoken for each variant; ``places`` and ``channels`` map recorded words to keys of phrases."""

    answers: Mapping[Variant, tuple[str | int, ...]]
    places: Mapping[str, str]
    channels: Mapping[str, str]

    def place(self, recorded: str) -> Spoken:
        """Return the province that a recorded place begins with, or nothing where it is none we know."""
        for end in range(len(recorded), 0, -1):
            if key := self.places.get(recorded[:end]):
                return phrasing.say(key)
        return ()

    def channel(self, name: str) -> Spoken:
        """Return how a check was made, or nothing for a channel that has no words."""
        key = self.channels.get(name)
        return phrasing.say(key) if key else ()


@cache
def spoken_forms() -> SpokenForms:
    """Read the file, once. Raises ``KeyError`` where a variant has no spoken form."""
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return SpokenForms(
        answers={variant: tuple(data["answers"][variant.value]) for variant in Variant},
        places=data["places"],
        channels=data["channels"],
    )


def speak(variant: Variant, verdict: Verdict, book: Book) -> Spoken:
    """Return what is said for a verdict in the book's locale."""
    spoken: list[Phrase | Name | Pause] = []
    for item in spoken_forms().answers[variant]:
        if isinstance(item, int):
            spoken.append(Pause(ms=item))
        elif item.startswith("{"):
            spoken.extend(SPOKEN_VALUES[item[1:-1]](verdict, book))
        else:
            spoken.append(Phrase(key=item))
    return tuple(spoken)


def spoken_keys() -> frozenset[str]:
    """Return every key of a phrase that answers name themselves; numbers are ``phrasing.vocabulary``."""
    forms = spoken_forms()
    named = {
        item for items in forms.answers.values() for item in items if isinstance(item, str) and item[0] != "{"
    }
    return frozenset((*named, *forms.places.values(), *forms.channels.values()))


def _moment(at: datetime, book: Book) -> Spoken:
    return phrasing.moment(at.astimezone(book.zone), book.locale)


def _day(at: datetime, book: Book) -> Spoken:
    return phrasing.day(at.astimezone(book.zone), book.locale)


def _via(verdict: Verdict, _: Book) -> Spoken:
    if verdict.first is None:
        return ()
    forms = spoken_forms()
    return (*forms.channel(verdict.first.channel), *forms.place(verdict.first.place))


def _names(verdict: Verdict, book: Book) -> Spoken:
    label = verdict.label
    if label is None:
        return ()
    pairs = ((label.brand, label.brand_en), (label.product, label.product_en))
    names = ((english or name) if book.locale == "en" else name for name, english in pairs)
    return tuple(part for name in names if name for part in (_NAME_PAUSE, Name(text=name)))


def _line(verdict: Verdict, _: Book) -> Spoken:
    number = phrasing.telephone(verdict.label.service_line) if verdict.label else ()
    return (_LINE_PAUSE, *number) if number else ()


SPOKEN_VALUES: Final[Mapping[str, Callable[[Verdict, Book], Spoken]]] = {
    "count": lambda verdict, book: phrasing.count(verdict.ordinal or 1, book.locale),
    "first_at": lambda verdict, book: _moment(first_at(verdict), book),
    "own_at": lambda verdict, book: _moment(own_at(verdict), book),
    # the days alone where two moments are told: both to the minute are more than anybody keeps in mind
    "first_day": lambda verdict, book: _day(first_at(verdict), book),
    "own_day": lambda verdict, book: _day(own_at(verdict), book),
    "via": _via,
    "names": _names,
    "line": _line,
    "position": lambda verdict, book: phrasing.position(verdict.slip_positions[0], book.locale),
    "position_2": lambda verdict, book: phrasing.position(verdict.slip_positions[-1], book.locale),
    "wait": lambda verdict, book: phrasing.waiting(verdict.retry_after_s, book.locale),
}
