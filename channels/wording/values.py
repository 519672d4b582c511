"""What each placeholder of a template stands for: the facts of a verdict, written as people write them in a locale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from app.core.model.label import LabelSummary
from app.core.model.verdict import Verdict
from channels.wording.book import Book
from channels.wording.segments import find_gsm7_length

_SHORT_NAME_HANZI: Final = 10
_SHORT_NAME_GSM7: Final = 24
_SHORT_PLACE_HANZI: Final = 4
_SHORT_PLACE_GSM7: Final = 14
_SHORT_LINE: Final = 15


def _first_at(verdict: Verdict) -> datetime:
    at = verdict.first.at if verdict.first else verdict.recorded_at
    if at is None:
        raise KeyError(f"The wording of {verdict.outcome.value!r} needs a recorded time.")
    return at


def _own_at(verdict: Verdict) -> datetime:
    return verdict.own_first_at or _first_at(verdict)


def _via(verdict: Verdict, book: Book) -> str:
    return book.via(verdict.first.channel, verdict.first.place) if verdict.first else ""


def _via_short(verdict: Verdict, book: Book) -> str:
    """Return place and channel for a text message; a place that would cost the segment is left out."""
    if verdict.first is None:
        return ""
    place = book.places.get(verdict.first.place, verdict.first.place)
    longest = _SHORT_PLACE_GSM7 if place.isascii() else _SHORT_PLACE_HANZI
    if len(place) > longest or (book.locale == "en" and find_gsm7_length(place) is None):
        place = ""
    known = [word for word in (place, book.short_channels.get(verdict.first.channel, "")) if word]
    return (
        book.fragments["via_short"].format(via=book.fragments["via_short_join"].join(known)) if known else ""
    )


def _brand(verdict: Verdict, book: Book) -> str:
    name = _short_name(verdict.label, book.locale) if verdict.label else ""
    return book.fragments["brand"].format(brand=name) if name else ""


def _short_name(label: LabelSummary, locale: str) -> str:
    """Return the brand's name for a text message: at most 10 hanzi, or 24 GSM-7 characters in English."""
    if locale != "en":
        return (label.brand_short or label.brand)[:_SHORT_NAME_HANZI]
    for name in (label.brand_short, label.brand_en, label.brand):
        if name and find_gsm7_length(name) is not None:
            return name[:_SHORT_NAME_GSM7]
    return ""


def _call(verdict: Verdict, book: Book) -> str:
    label = verdict.label
    line = "".join(char for char in label.service_line if char in "+0123456789") if label else ""
    return book.fragments["call"].format(line=line) if 0 < len(line) <= _SHORT_LINE else ""


VALUES: Final[Mapping[str, Callable[[Verdict, Book], str]]] = {
    "count": lambda verdict, _: str(verdict.ordinal or 1),
    "first_at": lambda verdict, book: book.moment(_first_at(verdict)),
    "first_day": lambda verdict, book: book.day(_first_at(verdict)),
    "via": _via,
    "via_short": _via_short,
    "own_at": lambda verdict, book: book.moment(_own_at(verdict)),
    "own_day": lambda verdict, book: book.day(_own_at(verdict)),
    "recorded_day": lambda verdict, book: book.day(verdict.recorded_at or _first_at(verdict)),
    "position": lambda verdict, book: book.position(verdict.slip_positions[0]),
    "position_2": lambda verdict, book: book.position(verdict.slip_positions[-1]),
    "wait": lambda verdict, book: book.waiting(verdict.retry_after_s),
    "brand": _brand,
    "call": _call,
}
