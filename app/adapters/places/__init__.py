"""Places of telephone numbers, over phonenumbers, of points and of written addresses; one spelling for each number."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from app.adapters.places.addresses import locate_address
from app.adapters.places.mainland import PrefixTable, load_prefixes
from app.adapters.places.points import ABROAD, CityTable, is_far_abroad, is_somewhere, load_cities

__all__ = ["PhoneNumberPlaces"]

_MAINLAND: Final = "+86"
# ITU-T E.164 country codes that are places of ours
_BY_COUNTRY_CODE: Final = {"+852": "香港", "+853": "澳门", "+886": "台湾"}
_MOBILE: Final = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_PUNCTUATION: Final = re.compile(r"[\s\-\u2010-\u2015().]")
_NUMBER: Final = re.compile(r"\+?[0-9]+")
_MOST_CHARS: Final = 64
_SHORTEST_ABROAD: Final = 8  # digits, with the country code


class PhoneNumberPlaces:
    """``Places`` (contract in the port) as seen from ``region``. :meth:`load` the tables before they are needed: it
    takes a third of a second of reading, once; without it the first question pays.
    """

    def __init__(self, region: str = "CN") -> None:
        self._region = region
        self._prefixes: PrefixTable | None = None
        self._known: frozenset[str] = frozenset()
        self._cities: CityTable | None = None

    def load(self) -> None:
        """Read the tables of prefixes and cities. May run in another thread."""
        self._loaded_prefixes()
        self._loaded_cities()

    def normalise(self, raw: str) -> str:
        """Return one spelling of a number; see the port. Mobile numbers of the mainland cost a pattern, others more."""
        text = _PUNCTUATION.sub("", unicodedata.normalize("NFKC", raw[:_MOST_CHARS])).removeprefix("tel:")
        if self._region == "CN" and (mobile := _MOBILE.fullmatch(text)):
            return _MAINLAND + mobile[1]
        if not _NUMBER.fullmatch(text):
            return text
        return self._e164(text) or text

    def locate(self, number: str) -> str:
        """Return province and city of a normalised number; see the port."""
        if not number.startswith("+") or not _NUMBER.fullmatch(number):
            return ""
        if number.startswith(_MAINLAND):
            return self._loaded_prefixes().find(number[1:])
        return _BY_COUNTRY_CODE.get(number[:4], ABROAD)

    def locate_point(self, latitude: float, longitude: float) -> str:
        """Return the province of a point, in degrees; see the port."""
        if not is_somewhere(latitude, longitude):
            return ""
        if is_far_abroad(latitude, longitude):
            return ABROAD
        return self._loaded_cities().find(latitude, longitude)

    def locate_address(self, address: str) -> str:
        """Return province and city that an address begins with; see the port."""
        self._loaded_prefixes()
        return locate_address(address, self._known)

    def _loaded_prefixes(self) -> PrefixTable:
        if self._prefixes is None:
            prefixes = load_prefixes()
            self._known = frozenset(prefixes.places)
            self._prefixes = prefixes
        return self._prefixes

    def _loaded_cities(self) -> CityTable:
        if self._cities is None:
            self._cities = load_cities()
        return self._cities

    def _e164(self, text: str) -> str:
        """Return E.164 of a valid number, or "": a short code, an access number, nothing that can be called."""
        import phonenumbers  # 40 ms, and only numbers that are no mobile number of the mainland need it

        spellings = [text]
        if not text.startswith(("+", "0")) and len(text) >= _SHORTEST_ABROAD:
            spellings.append(f"+{text}")  # gateways write numbers from abroad without the plus sign
        for spelling in spellings:
            try:
                parsed = phonenumbers.parse(spelling, self._region)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(parsed):
                return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
        return ""
