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

    def locate_point(self, latitude: float, longitude: float) -> str:
        """Return the province a point (WGS 84 or GCJ-02, in degrees) lies in, 境外 for one abroad, or "" where it is
        near a border or no such point.
        """
        ...

    def locate_address(self, address: str) -> str:
        """Return province and city that a written address begins with, as :meth:`locate`, or ""."""
        ...
