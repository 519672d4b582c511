"""The text-message form: one segment always. What does not fit is left out in a fixed order, the meaning never.

Never left out are the signature, a brand's name of ten characters, the finding, count and dates, and what not to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final
from unicodedata import normalize

from app.core.model.label import LabelSummary
from app.core.model.value import value
from app.core.model.verdict import Verdict
from channels.wording.book import Book, Template
from channels.wording.graphemes import cut
from channels.wording.segments import Encoding, find_gsm7_length, fits_one_segment, ucs2_length
from channels.wording.values import VALUES

_SHORT_NAME_HANZI: Final = 10
_SHORT_NAME_GSM7: Final = 24
_SHORT_LINE: Final = 15


class Part(Enum):
    """What a text message may do without, the most valuable first: parts are left out from the end of this list."""

    SERVICE_LINE = auto()  # the telephone number
    MORE_CODES = auto()  # that the first of several codes was answered
    WHOLE_NAME = auto()  # a Latin name of up to 24 letters in a Chinese text; otherwise 10 units of it
    OWN_DAY = auto()  # when the caller first asked; otherwise only that they did
    SITE = auto()
    PLACE = auto()  # the province of the first check
    LOOK = auto()  # that the pack should be looked at
    CHANNEL = auto()  # the channel of the first check
    CALL = auto()  # the word before the telephone number


Parts = frozenset[Part]
EVERY_PART: Final[Parts] = frozenset(Part)


def fit(write: Callable[[Parts], str]) -> str:
    """Return the text with all parts if it is one segment, otherwise with as many as fit, the valuable ones first.

    ``write`` returns the text with the given parts; without any it must fit, which tests compute for every wording.
    """
    text = write(EVERY_PART)
    if fits_one_segment(text):
        return text
    kept: Parts = frozenset()
    text = write(kept)
    for part in Part:
        longer = write(kept | {part})
        if fits_one_segment(longer):
            kept, text = kept | {part}, longer
    return text


@value
class ShortFacts:
    """What the placeholders of a short form are filled from."""

    verdict: Verdict
    book: Book
    more_codes: bool = False


def short_answer(template: Template, facts: ShortFacts) -> str:
    """Return the answer as one segment."""
    return fit(lambda parts: _sentence(template.fill(lambda name: _value(name, facts, parts)), facts))


def short_notice(template: Template, book: Book) -> str:
    """Return a notice as one segment; it knows the signature and the site only."""
    values: Mapping[str, Callable[[Parts], str]] = {
        "signature": lambda _: book.letterhead.signature,
        "site": lambda parts: _site(book, parts),
    }
    return fit(lambda parts: _capital(template.fill(lambda name: values[name](parts)), book))


def _value(name: str, facts: ShortFacts, parts: Parts) -> str:
    short = SHORT_VALUES.get(name)
    return short(facts, parts) if short else VALUES[name](facts.verdict, facts.book)


def _sentence(text: str, facts: ShortFacts) -> str:
    return _capital(text.strip(), facts.book) if not _brand(facts, EVERY_PART) else text.strip()


def _capital(text: str, book: Book) -> str:
    """Begin the sentence with a capital where no signature goes before it."""
    return text if book.letterhead.signature else text[:1].upper() + text[1:]


def short_name(label: LabelSummary, book: Book, *, whole: bool) -> str:
    """Return the brand's name for a text message, "" where no name can be written in the alphabet of the locale.

    At most 24 septets in English, where a name that is not GSM-7 makes way for the next one. In Chinese at most 10
    UCS-2 units, with ``whole`` 24 for a name that has no hanzi.
    """
    names = [_trimmed(name) for name in (label.brand_short, label.brand_en, label.brand)]
    if book.alphabet is Encoding.GSM7:
        written = (name for name in names if name and find_gsm7_length(name) is not None)
        return _cut_at_word(next(written, ""), _SHORT_NAME_GSM7)
    name = names[0] or names[2]
    latin = whole and find_gsm7_length(name) is not None
    return _cut_at_word(name, _SHORT_NAME_GSM7 if latin else _SHORT_NAME_HANZI)


def _trimmed(name: str) -> str:
    """Return the name with its letters and their marks in one, which GSM-7 asks for and UCS-2 is shorter by."""
    return name.strip() if name.isascii() else normalize("NFC", name).strip()


def _cut_at_word(name: str, most: int) -> str:
    """Return whole words where more than half of the room is used by then, whole graphemes otherwise."""
    size = _size if find_gsm7_length(name) is not None else ucs2_length
    kept = cut(name, most, size)
    if kept != name and not name[len(kept)].isspace():
        words = kept.rpartition(" ")[0]
        kept = words if len(words) * 2 > most else kept
    return kept.strip()


def _size(text: str) -> int:
    return find_gsm7_length(text) or 0


def _brand(facts: ShortFacts, parts: Parts) -> str:
    label = facts.verdict.label
    name = short_name(label, facts.book, whole=Part.WHOLE_NAME in parts) if label else ""
    return facts.book.fragments["brand"].format(brand=name) if name else ""


def _via(facts: ShortFacts, parts: Parts) -> str:
    """Return province and channel of the first check; the city is for the longer forms."""
    first, book = facts.verdict.first, facts.book
    if first is None:
        return ""
    place = book.province(first.place) if Part.PLACE in parts else ""
    channel = book.short_channels.get(first.channel, "") if Part.CHANNEL in parts else ""
    known = [word for word in (place, channel) if word]
    return (
        book.fragments["via_short"].format(via=book.fragments["via_short_join"].join(known)) if known else ""
    )


def _own(facts: ShortFacts, parts: Parts) -> str:
    if Part.OWN_DAY not in parts:
        return facts.book.fragments["own_bare"]
    return facts.book.fragments["own"].format(own_day=VALUES["own_day"](facts.verdict, facts.book))


def _call(facts: ShortFacts, parts: Parts) -> str:
    label = facts.verdict.label
    line = "".join(char for char in label.service_line if char in "+0123456789") if label else ""
    if Part.SERVICE_LINE not in parts or not 0 < len(line) <= _SHORT_LINE:
        return ""
    return facts.book.fragments["call" if Part.CALL in parts else "call_bare"].format(line=line)


def _site(book: Book, parts: Parts) -> str:
    site = book.letterhead.site
    return book.fragments["site"].format(site=site) if site and Part.SITE in parts else ""


SHORT_VALUES: Final[Mapping[str, Callable[[ShortFacts, Parts], str]]] = {
    "signature": lambda facts, _: facts.book.letterhead.signature,
    "brand": _brand,
    "via_short": _via,
    "own": _own,
    "look": lambda facts, parts: facts.book.fragments["look"] if Part.LOOK in parts else "",
    "more_codes": lambda facts, parts: (
        facts.book.fragments["more_codes_short"] if facts.more_codes and Part.MORE_CODES in parts else ""
    ),
    "call": _call,
    "site": lambda facts, parts: _site(facts.book, parts),
}
