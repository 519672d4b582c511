"""The form of an answer for a chat: a few short lines, as many as a telephone shows at once.

The platform takes 2048 bytes; 400 characters keep the answer on one screen. Names give way first, then the extras,
never the finding, the telephone number or the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from app.core.model.value import value
from app.core.model.verdict import Verdict
from channels.wording.book import Book, Meaning
from channels.wording.graphemes import cut
from channels.wording.values import VALUES

LONGEST_CHAT: Final = 400  # characters; with the longest ones, of four bytes in UTF-8, 1600 bytes
_LONGEST_LINE: Final = 32  # of a telephone number as the brand writes it
_CUT: Final = "…"


@value
class _Room:
    """How much is said: characters of the product's and the brand's name, and whether the extras are there."""

    product: int
    brand: int
    next_step: bool = True
    more_codes: bool = True


_ROOMS: Final = (
    _Room(product=60, brand=40),
    _Room(product=40, brand=24),
    _Room(product=24, brand=16),
    _Room(product=24, brand=16, next_step=False),
    _Room(product=24, brand=16, next_step=False, more_codes=False),
)


def chat_answer(meaning: Meaning, verdict: Verdict, book: Book, *, more_codes: bool = False) -> str:
    """Return the answer as lines without a blank one between them."""
    text = ""
    for room in _ROOMS:
        text = "\n".join(line for line in _lines(meaning, verdict, book, room, more_codes) if line)
        if len(text) <= LONGEST_CHAT:
            break
    return text


def _lines(meaning: Meaning, verdict: Verdict, book: Book, room: _Room, more_codes: bool) -> Iterator[str]:  # noqa: FBT001 - private
    yield meaning.chat.fill(lambda name: VALUES[name](verdict, book))
    yield _product(verdict, book, room)
    yield meaning.chat_look
    yield meaning.chat_next if room.next_step else ""
    yield _service_line(verdict, book)
    if verdict.recorded_at is not None:
        yield book.fragments["chat_time"].format(at=book.stamp(verdict.recorded_at))
    yield book.fragments["chat_more_codes"] if more_codes and room.more_codes else ""


def _product(verdict: Verdict, book: Book, room: _Room) -> str:
    label = verdict.label
    if label is None:
        return ""
    product, brand = (
        ((label.product_en or label.product), (label.brand_en or label.brand))
        if book.locale == "en"
        else (label.product, label.brand)
    )
    return book.fragments["chat_product"].format(
        product=_shortened(product, room.product), brand=_shortened(brand, room.brand)
    )


def _shortened(name: str, most: int) -> str:
    """Return a name on one line of at most ``most`` characters, with a mark where it was cut."""
    text = " ".join(name.split())
    return text if len(text) <= most else cut(text, most - len(_CUT), len).rstrip() + _CUT


def _service_line(verdict: Verdict, book: Book) -> str:
    written = " ".join(verdict.label.service_line.split()) if verdict.label else ""
    if len(written) > _LONGEST_LINE:
        written = "".join(char for char in written if char in "+0123456789")[:_LONGEST_LINE]
    return book.fragments["chat_line"].format(line=written) if written else ""
