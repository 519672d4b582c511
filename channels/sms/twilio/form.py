"""The form a webhook brings. Duplicates are kept, because the provider signs every value of a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from app.core.errors import Undecodable

_MOST_FIELDS: Final = 256  # an inbound message has about thirty


class Form:
    """The fields of one form. Iterating gives names; ``getall`` is the name by which the provider's library asks."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, text in pairs:
            self._values.setdefault(name, []).append(text)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def getall(self, name: str) -> list[str]:
        """Return every value of a field that is there."""
        return self._values[name]

    def first(self, *names: str) -> str:
        """Return the first value of the first of ``names`` that has one; "" where none has."""
        for name in names:
            text = self._values.get(name, ("",))[0]
            if text:
                return text
        return ""


def parse_form(body: bytes) -> Form:
    """Return the fields of an ``application/x-www-form-urlencoded`` body, empty values included.

    Raises ``Undecodable`` for anything that is not UTF-8, escaped or plain, and for hundreds of fields.
    """
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:  # the library's words would quote the body
        raise Undecodable("The form is not UTF-8, or has too many fields.") from None
    return Form(pairs)
