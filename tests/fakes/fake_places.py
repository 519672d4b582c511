"""Places of numbers without the tables of a country."""

from __future__ import annotations

import re


class FakePlaces:
    """Every number of the mainland is from ``place``; other countries are 境外, what is no number is nowhere."""

    def __init__(self, place: str = "内蒙古呼和浩特") -> None:
        self.place = place

    def normalise(self, raw: str) -> str:
        plain = re.sub(r"[\s\-().]", "", raw)
        digits = plain.removeprefix("+").removeprefix("00")
        if not digits.isdigit():
            return plain
        if re.fullmatch(r"1[3-9][0-9]{9}", digits):
            return f"+86{digits}"
        return f"+{digits}" if len(digits) > 10 else digits

    def locate(self, number: str) -> str:
        if number.startswith("+86"):
            return self.place
        return "境外" if number.startswith("+") else ""

    def locate_point(self, latitude: float, longitude: float) -> str:
        return self.place if 18 < latitude < 54 and 73 < longitude < 136 else "境外"

    def locate_address(self, address: str) -> str:
        return self.place if address.startswith(self.place[:2]) else ""
