"""What each placeholder of a template stands for: the facts of a verdict, written as people write them in a locale."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from app.core.model.verdict import Verdict
from channels.wording.book import Book


def first_at(verdict: Verdict) -> datetime:
    """Return when the label was first checked. Raises ``KeyError`` where nothing was recorded."""
    at = verdict.first.at if verdict.first else verdict.recorded_at
    if at is None:
        raise KeyError(f"The wording of {verdict.outcome.value!r} needs a recorded time.")
    return at


def own_at(verdict: Verdict) -> datetime:
    """Return when this caller first checked it. Raises as :func:`first_at`."""
    return verdict.own_first_at or first_at(verdict)


def _via(verdict: Verdict, book: Book) -> str:
    return book.via(verdict.first.channel, verdict.first.place) if verdict.first else ""


VALUES: Final[Mapping[str, Callable[[Verdict, Book], str]]] = {
    "count": lambda verdict, _: str(verdict.ordinal or 1),
    "first_at": lambda verdict, book: book.moment(first_at(verdict)),
    "first_day": lambda verdict, book: book.day(first_at(verdict)),
    "via": _via,
    "own_at": lambda verdict, book: book.moment(own_at(verdict)),
    "own_day": lambda verdict, book: book.day(own_at(verdict)),
    "recorded_day": lambda verdict, book: book.day(verdict.recorded_at or first_at(verdict)),
    "position": lambda verdict, book: book.position(verdict.slip_positions[0]),
    "position_2": lambda verdict, book: book.position(verdict.slip_positions[-1]),
    "wait": lambda verdict, book: book.waiting(verdict.retry_after_s),
}
