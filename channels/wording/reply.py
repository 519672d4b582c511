"""Wording turns a verdict into a Reply: one meaning, whose forms are made when a channel asks for them.

The JSON API is hot and needs only the message, so nothing else is made for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from app.core.model.value import value
from app.core.model.verdict import Verdict
from app.speech.spoken import Spoken
from channels.wording.book import Book, Meaning
from channels.wording.chat import chat_answer
from channels.wording.forms import TextForm
from channels.wording.locales import DEFAULT_LOCALE, LOCALES, resolve_locale
from channels.wording.notices import Notice, NoticeWords
from channels.wording.short import ShortFacts, short_answer, short_notice
from channels.wording.spoken import speak
from channels.wording.values import VALUES
from channels.wording.variants import Variant, variant_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a page's list: ``name`` (count, first, own_first, recorded), its label and its value."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page's words. ``look_at`` may be empty; names are empty where no label is known."""

    headline: str
    lead: str
    facts: tuple[Fact, ...]
    look_at: tuple[str, ...]
    next_step: str
    product: str = ""
    brand: str = ""
    programme: str = ""
    service_line: str = ""


@value
class Reply:
    """A verdict in a locale. ``more_codes``: the text held a second code, which was not answered."""

    verdict: Verdict
    locale: str
    variant: Variant
    book: Book
    more_codes: bool = False

    @property
    def message(self) -> str:
        """One or two sentences, for the API and a command line."""
        text = self._meaning.message.fill(self._value)
        return text + self.book.fragments["more_codes"] if self.more_codes else text

    @property
    def short(self) -> str:
        """The text-message form: one segment (70 UCS-2 units in Chinese, 160 GSM-7 septets in English)."""
        facts = ShortFacts(verdict=self.verdict, book=self.book, more_codes=self.more_codes)
        return short_answer(self._meaning.short, facts)

    @property
    def chat(self) -> str:
        """The form for a chat: a line each for the finding, the product, the pack, the next step, number and time.

        At most 400 characters and 2048 bytes, for which names are cut.
        """
        return chat_answer(self._meaning, self.verdict, self.book, more_codes=self.more_codes)

    def text(self, form: TextForm) -> str:
        """Return the answer as a text of that form."""
        return self.short if form is TextForm.SHORT else self.chat

    @property
    def page(self) -> Page:
        """The words of a result page."""
        meaning, label = self._meaning, self.verdict.label
        lead = meaning.lead.fill(self._value)
        return Page(
            headline=meaning.headline,
            lead=lead + self.book.fragments["more_codes"] if self.more_codes else lead,
            facts=self._facts(),
            look_at=meaning.look_at,
            next_step=meaning.next_step.fill(self._value),
            product=self._name(label.product, label.product_en) if label else "",
            brand=self._name(label.brand, label.brand_en) if label else "",
            programme=self._name(label.programme, label.programme_en) if label else "",
            service_line=label.service_line if label else "",
        )

    @property
    def spoken(self) -> Spoken:
        """What the hotline says: phrases of the catalogue, names and pauses, in the order they are played."""
        return speak(self.variant, self.verdict, self.book)

    @property
    def _meaning(self) -> Meaning:
        return self.book.meanings[self.variant]

    def _value(self, name: str) -> str:
        return VALUES[name](self.verdict, self.book)

    def _name(self, name: str, name_en: str) -> str:
        return (name_en or name) if self.locale == "en" else name

    def _facts(self) -> tuple[Fact, ...]:
        verdict, book = self.verdict, self.book
        facts = []
        if verdict.ordinal is not None:
            count = book.fragments["count_fact" if verdict.ordinal > 1 else "count_fact_one"]
            facts.append(("count", count.format(count=verdict.ordinal)))
        if verdict.first is not None and verdict.ordinal != 1:
            via = book.via(verdict.first.channel, verdict.first.place)
            facts.append(("first", book.moment(verdict.first.at) + via))
        if verdict.own_first_at is not None and not (verdict.first and verdict.first.own):
            facts.append(("own_first", book.moment(verdict.own_first_at)))
        if verdict.recorded_at is not None:
            facts.append(("recorded", book.moment(verdict.recorded_at)))
        return tuple(Fact(name=name, label=book.facts[name], value=value) for name, value in facts)


class Wording:
    """Every answer and every notice in every locale, loaded once."""

    def __init__(self, books: Mapping[str, Book]) -> None:
        self._books = books

    @staticmethod
    def load(timezone: str, *, site: str = "", signatures: Mapping[str, str] | None = None) -> Wording:
        """Read all locales' files; times are shown in ``timezone`` (an IANA name).

        For text messages: ``site`` is the bare official domain, which help and ``not_found`` show (left out where it
        is "" or longer than 24 characters); ``signatures`` maps a locale to the name at the start of every text, at
        most 6 hanzi in Chinese and 12 GSM-7 characters in English, "" for none. Raises ``ValueError`` with its remedy
        for what cannot stand there.
        """
        zone = ZoneInfo(timezone)
        names = signatures or {}
        if unknown := sorted(names.keys() - set(LOCALES)):
            raise ValueError(f"There is no locale {unknown[0]!r} to sign in; name {' or '.join(LOCALES)}.")
        return Wording(
            {locale: Book.load(locale, zone, site=site, signature=names.get(locale)) for locale in LOCALES}
        )

    def reply(self, verdict: Verdict, locale: str = DEFAULT_LOCALE, *, more_codes: bool = False) -> Reply:
        """Return the answer in ``locale`` or, where it is unknown, the nearest: en-US is en, anything else zh-CN."""
        book = self._books.get(locale)
        if book is None:
            locale = resolve_locale(locale)
            book = self._books[locale]
        return Reply(
            verdict=verdict, locale=locale, variant=variant_of(verdict), book=book, more_codes=more_codes
        )

    def notice(self, name: NoticeWords, locale: str = DEFAULT_LOCALE) -> Notice:
        """Return a text message that answers no query, in the nearest locale as for :meth:`reply`."""
        locale = resolve_locale(locale)
        book = self._books[locale]
        return Notice(
            locale=locale, short=short_notice(book.notices[name], book), chat=book.chat_notices[name]
        )

    def moment(self, at: datetime, locale: str) -> str:
        """Return date and time as people write them in ``locale``."""
        return self._books[resolve_locale(locale)].moment(at)
