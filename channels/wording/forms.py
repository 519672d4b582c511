"""How long a written answer may be."""

from __future__ import annotations

from enum import StrEnum


class TextForm(StrEnum):
    """How long a text may be: one segment of a text message, or a few lines in a chat."""

    SHORT = "short"
    CHAT = "chat"
