"""Province and city that a written Chinese address begins with, in the spelling that telephone numbers have."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Final

from app.adapters.places.mainland import PEOPLES, PROVINCES, coarse

_MOST_CHARS: Final = 200
_WITHOUT_CITIES: Final = frozenset({"北京", "天津", "上海", "重庆", "香港", "澳门", "台湾"})
_LONGEST_CITY: Final = 10  # hanzi, without its kind
_COUNTRY: Final = re.compile("(?:中华人民共和国|中国)")
_GAPS: Final = re.compile(r"[\s,，、·\-]+")
_TRADITIONAL: Final = str.maketrans({"臺": "台", "灣": "湾", "門": "门"})
_PROVINCE: Final = re.compile(
    f"({'|'.join(PROVINCES)})(省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?", re.DOTALL
)
# a street named after a province, as in 北京东路, says nothing of where it is
_STREET: Final = re.compile("[东西南北中上下新老]{0,2}[一二三四五大小支]?(?:路|街|道|巷|弄|里)")
_CITY: Final = re.compile(f".{{2,9}}?(?:市|地区|盟|林区|(?:{PEOPLES})+自治州)")
_IN_BRACKETS: Final = re.compile(r"\(([^()]+)\)$")  # 某某大厦(广东省深圳市...)


def locate_address(address: str, known: Collection[str]) -> str:
    """Return province and city, the province alone where no more is written, or "".

    ``known`` are places as telephone numbers have them, for a city that is written without its kind. Of municipalities
    and regions that those numbers tell no city of, none is told here.
    """
    text = _GAPS.sub("", unicodedata.normalize("NFKC", address[:_MOST_CHARS])).translate(_TRADITIONAL)
    if place := _beginning(text, known):
        return place
    named = _IN_BRACKETS.search(text)
    return _beginning(named[1], known) if named else ""


def _beginning(text: str, known: Collection[str]) -> str:
    country = _COUNTRY.match(text)
    found = _PROVINCE.match(text, country.end() if country else 0)
    if found is None:
        return ""
    province, kind, rest = found[1], found[2], text[found.end() :]
    if kind is None and _STREET.match(rest):
        return ""
    if province in _WITHOUT_CITIES:
        return province
    for length in range(_LONGEST_CITY, 1, -1):
        if province + rest[:length] in known:
            return province + rest[:length]
    city = _CITY.match(rest)
    return coarse(province + city[0]) if city else province
