"""What a caller is told of a recall: the fields of the subscribe message's template, which the platform keeps short."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from app.core.model.label import LabelSummary
from channels.wording.graphemes import cut
from channels.wording.locales import LOCALES, resolve_locale

MOST_CHARACTERS: Final = 20  # of a "thing" field, by the platform's table of template fields
_FOLDER: Final = Path(__file__).parent
_CUT_MARK: Final = "…"


class RecallWords:
    """The notice of a recall in every locale. ``advice`` is the sentence of each."""

    def __init__(self, advice: Mapping[str, str], zone: tzinfo) -> None:
        self._advice = advice
        self._zone = zone

    @staticmethod
    def load(timezone: str) -> RecallWords:
        """Read all locales' files; times are shown in ``timezone`` (an IANA name).

        Raises ``KeyError`` where a file lacks the words and ``ValueError`` where they do not fit the field.
        """
        advice = {}
        for locale in LOCALES:
            data = tomllib.loads((_FOLDER / f"{locale}.toml").read_text(encoding="utf-8"))
            advice[locale] = data["recall_notice"]["advice"]
            if len(advice[locale]) > MOST_CHARACTERS:
                raise ValueError(f"recall_notice.advice of {locale} is longer than {MOST_CHARACTERS}.")
        return RecallWords(advice, ZoneInfo(timezone))

    def fields(self, label: LabelSummary, recalled_at: datetime, locale: str) -> dict[str, str]:
        """Return the template's fields: the product, when it was recalled, what to do; in the nearest locale."""
        locale = resolve_locale(locale)
        name = (label.product_en or label.product) if locale == "en" else label.product
        return {
            "thing1": _fitted(name),
            "time2": recalled_at.astimezone(self._zone).strftime("%Y-%m-%d %H:%M"),
            "thing3": self._advice[locale],
        }


def _fitted(name: str) -> str:
    """Return ``name`` in the room of a field, marked where it was cut."""
    if len(name) <= MOST_CHARACTERS:
        return name
    return cut(name, MOST_CHARACTERS - len(_CUT_MARK), len).rstrip() + _CUT_MARK
