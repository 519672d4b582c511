"""Telephone numbers: one spelling for each, and the coarse place it was given out in."""

from __future__ import annotations

from typing import Protocol


class Places(Protocol):
    """Promise: synchronous, no I/O, never raises. Numbers are kept nowhere."""

    def normalise(self, raw: str) -> str:
        """Return one spelling for a number however it came: E.164 with its plus sign; a sender that is no telephone
        number (a short code, a name) as its bare characters; "" for nothing.
        """
        ...

    def locate(self, number: str) -> str:
        """Return province and city of a normalised number, as in 内蒙古呼和浩特, the province alone where no more is
        known, 境外 for numbers abroad, or "".
        """
        ...
