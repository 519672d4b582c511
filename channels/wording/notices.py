"""Text messages that answer no query: help, a change of language, opting out and in again."""

from __future__ import annotations

from enum import StrEnum

from app.core.model.value import value
from channels.wording.forms import TextForm


class NoticeWords(StrEnum):
    """Every notice there is; each has its words in every locale."""

    HELP = "help"
    WELCOME = "welcome"
    PLACE = "place"
    PICTURE = "picture"
    REPORT = "report"
    LANGUAGE = "language"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


@value
class Notice:
    """A notice in a locale. ``short`` is one segment (70 UCS-2 units in Chinese, 160 GSM-7 septets in English);
    ``chat`` is for a chat, unsigned.
    """

    locale: str
    short: str
    chat: str

    def text(self, form: TextForm) -> str:
        """Return the notice as a text of that form."""
        return self.short if form is TextForm.SHORT else self.chat
