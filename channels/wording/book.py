"""One locale's words, read once from its TOML file: templates, dates, counts, channel and place names."""

from __future__ import annotations

import string
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final

from channels.wording.letterhead import Letterhead
from channels.wording.notices import NoticeWords
from channels.wording.segments import Encoding
from channels.wording.variants import Variant

_FOLDER: Final = Path(__file__).parent
_FORMATTER: Final = string.Formatter()
_WRITTEN_KEPT: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A sentence with ``{placeholders}``; ``names`` are those it needs."""

    text: str
    names: tuple[str, ...]

    @staticmethod
    def of(text: str) -> Template:
        """Parse ``text``. Raises ``ValueError`` for a broken placeholder."""
        names = tuple(name for _, name, _, _ in _FORMATTER.parse(text) if name is not None)
        return Template(text=text, names=tuple(dict.fromkeys(names)))

    def fill(self, value: Callable[[str], str]) -> str:
        """Return the sentence; ``value`` is asked only for the names it holds."""
        if not self.names:
            return self.text
        return self.text.format_map({name: value(name) for name in self.names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """The forms of one variant: one or two sentences, a text message, a chat's lines, and the page's words.

    A further form (a spoken one) is a further field here and a further key in each locale's file.
    """

    message: Template
    short: Template
    chat: Template
    chat_look: str
    chat_next: str
    headline: str
    lead: Template
    next_step: Template
    look_at: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """All words of one locale; ``zone`` is the display time zone, ``alphabet`` that of its text messages."""

    locale: str
    zone: tzinfo
    alphabet: Encoding
    letterhead: Letterhead
    meanings: Mapping[Variant, Meaning]
    notices: Mapping[NoticeWords, Template]
    chat_notices: Mapping[NoticeWords, str]
    facts: Mapping[str, str]
    fragments: Mapping[str, str]
    channels: Mapping[str, str]
    short_channels: Mapping[str, str]
    places: Mapping[str, str]
    dates: Mapping[str, str]
    months: tuple[str, ...]
    ordinals: Mapping[str, str]
    wait: Mapping[str, str]
    # dates by form and minute, places by channel and name: every answer holds some, and they repeat
    _written: dict[tuple[str, str | int], str] = field(default_factory=dict)

    @staticmethod
    def load(locale: str, zone: tzinfo, *, site: str = "", signature: str | None = None) -> Book:
        """Read the locale's file; without ``signature`` its own is taken.

        Raises ``KeyError`` where the file lacks a word, so that a gap fails at start, and ``ValueError`` for a site
        or a signature that cannot stand in a text message (:class:`Letterhead`).
        """
        data = tomllib.loads((_FOLDER / f"{locale}.toml").read_text(encoding="utf-8"))
        alphabet = Encoding(data["alphabet"])
        letterhead = Letterhead.of(
            signature=data["signature"]["default"] if signature is None else signature,
            shown=data["signature"]["shown"],
            site=site,
            alphabet=alphabet,
        )
        return Book(
            locale=locale,
            zone=zone,
            alphabet=alphabet,
            letterhead=letterhead,
            notices={name: Template.of(data["notices"][name.value]) for name in NoticeWords},
            chat_notices={name: data["chat_notices"][name.value] for name in NoticeWords},
            meanings={variant: _meaning(data["answers"][variant.value], data) for variant in Variant},
            facts=data["facts"],
            fragments=data["fragments"],
            channels=data["channels"],
            short_channels=data["short_channels"],
            places=data["places"],
            dates=data["dates"],
            months=tuple(data.get("months", ())),
            ordinals=data.get("ordinals", {}),
            wait=data["wait"],
        )

    def moment(self, at: datetime) -> str:
        """Return date and time as people write them, in the display zone."""
        return self._date("full", at)

    def day(self, at: datetime) -> str:
        """Return the date in its shortest clear form, for a text message."""
        return self._date("day", at)

    def stamp(self, at: datetime) -> str:
        """Return date and time in their shortest clear form, for a line of its own."""
        return self._date("stamp", at)

    def _date(self, form: str, at: datetime) -> str:
        minute = int(at.timestamp()) // 60
        text = self._written.get((form, minute))
        if text is None:
            text = self._write_date(form, at)
            self._keep((form, minute), text)
        return text

    def _write_date(self, form: str, at: datetime) -> str:
        local = at.astimezone(self.zone)
        month = self.months[local.month - 1] if self.months else ""
        return self.dates[form].format(
            year=local.year,
            yy=local.year % 100,
            month=local.month,
            month_name=month,
            month_short=month[:3],
            day=local.day,
            hour=local.hour,
            minute=local.minute,
        )

    def position(self, number: int) -> str:
        """Return the place of a digit: 7 in Chinese, 7th in English."""
        if not self.ordinals:
            return str(number)
        last = "" if 10 < number % 100 < 14 else str(number % 10)
        return f"{number}{self.ordinals.get(last) or self.ordinals['other']}"

    def waiting(self, seconds: int) -> str:
        """Return a waiting time rounded up to what people say: seconds, minutes or hours."""
        for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
            if seconds > size or unit == "second":
                number = max(1, -(-seconds // size))
                return self.wait[unit if number == 1 else f"{unit}s"].format(n=number)
        raise AssertionError("a second is the last unit")

    def province(self, place: str) -> str:
        """Return the province that a recorded place begins with, or "" where it is none we know."""
        for end in range(len(place), 0, -1):
            if name := self.places.get(place[:end]):
                return name
        return ""

    def whole_place(self, place: str) -> str:
        """Return a recorded place, as in 内蒙古呼和浩特, as far as this locale has words for it."""
        return self.fragments["place"].format(place=place, province=self.province(place) or place)

    def via(self, channel: str, place: str) -> str:
        """Return the channel and the place of a check in brackets, or nothing where neither is known."""
        text = self._written.get((channel, place))
        if text is None:
            known = [name for name in (self.channels.get(channel, ""), self.whole_place(place)) if name]
            text = self.fragments["via"].format(via=self.fragments["via_join"].join(known)) if known else ""
            self._keep((channel, place), text)
        return text

    def _keep(self, key: tuple[str, str | int], text: str) -> None:
        if len(self._written) >= _WRITTEN_KEPT:
            self._written.clear()
        self._written[key] = text


def _meaning(words: Mapping[str, str], data: Mapping[str, Any]) -> Meaning:
    look = words.get("look_at")
    return Meaning(
        message=Template.of(words["message"]),
        short=Template.of(words["short"]),
        chat=Template.of(words.get("chat", words["message"])),
        chat_look=data["chat_look_at"][look] if look else "",
        chat_next=words["chat_next"],
        headline=words["headline"],
        lead=Template.of(words.get("lead", words["message"])),
        next_step=Template.of(words["next_step"]),
        look_at=tuple(data["look_at"][look]) if look else (),
    )
