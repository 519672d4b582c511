"""Places of mainland numbers by prefix, out of the tables of phonenumbers.

Its geocoder loads the tables of the whole world (100 MB); here the files with +86 alone are read, one after the other,
and kept as 1 MB of sorted numbers.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections import defaultdict
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Final

PROVINCES: Final = (
    *("北京", "天津", "河北", "山西", "内蒙古", "辽宁", "吉林", "黑龙江", "上海", "江苏", "浙江", "安徽"),
    *("福建", "江西", "山东", "河南", "湖北", "湖南", "广东", "广西", "海南", "重庆", "四川", "贵州"),
    *("云南", "西藏", "陕西", "甘肃", "青海", "宁夏", "新疆", "台湾", "香港", "澳门"),
)
_PROVINCE: Final = re.compile(
    f"({'|'.join(PROVINCES)})(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?(.*)", re.DOTALL
)
PEOPLES: Final = (
    "朝鲜族|土家族|苗族|藏族|羌族|彝族|侗族|布依族|哈尼族|壮族|傣族|白族|景颇族|傈僳族"
    "|回族|蒙古族|蒙古|柯尔克孜|哈萨克"
)
_KIND_OF_CITY: Final = re.compile(f"(?:(?<=..)市|地区|盟|林区|(?:{PEOPLES})+自治州)$")
_FIRST_KEY: Final = re.compile(r"^ ?'([0-9]+)':", re.MULTILINE)
_FROM, _TO = "86", "87"
_HEAD_CHARS: Final = 4096
_LONGEST: Final = 9  # digits of a prefix


class PrefixTable:
    """Places by the digits that numbers begin with; the longest prefix that is listed counts. About 1 MB."""

    def __init__(self) -> None:
        self._ranks: dict[str, int] = {}
        self._names: list[str] = []
        self._by_length: defaultdict[int, tuple[array[int], array[int]]] = defaultdict(
            lambda: (array("I"), array("H"))
        )

    def add(self, prefix: str, place: str) -> None:
        """List a prefix of at most 9 digits; prefixes must come in the order of text, so that none is sorted again."""
        rank = self._ranks.setdefault(place, len(self._names))
        if rank == len(self._names):
            self._names.append(place)
        numbers, ranks = self._by_length[len(prefix)]
        numbers.append(int(prefix))
        ranks.append(rank)

    @property
    def places(self) -> tuple[str, ...]:
        """Every place that is listed, once."""
        return tuple(self._names)

    def find(self, digits: str) -> str:
        """Return the place of a number given as digits with its country code, or ""."""
        for length in range(min(_LONGEST, len(digits)), 0, -1):
            if length not in self._by_length:
                continue
            numbers, ranks = self._by_length[length]
            number = int(digits[:length])
            at = bisect_left(numbers, number)
            if at < len(numbers) and numbers[at] == number:
                return self._names[ranks[at]]
        return ""


@cache
def load_prefixes() -> PrefixTable:
    """Read the prefixes of +86, once in a process.

    Raises ``OSError`` or ``ImportError`` where phonenumbers is not whole.
    """
    table = PrefixTable()
    places: dict[str, str] = {}
    for number, path in _files():
        spec = spec_from_file_location(f"phonenumbers.geodata.data{number}", path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path.name} of phonenumbers cannot be read. Install phonenumbers again.")
        module = module_from_spec(
            spec
        )  # not put among the loaded modules: it goes when its entries are taken
        spec.loader.exec_module(module)
        for prefix, names in module.data.items():
            if prefix.startswith(_FROM) and "zh" in names:
                name = names["zh"]
                if name not in places:
                    places[name] = coarse(name)
                if places[name]:
                    table.add(prefix, places[name])
    return table


def coarse(name: str) -> str:
    """Return province and city of a place as the tables name it: 内蒙古呼和浩特 of 内蒙古自治区呼和浩特市.

    Where it names several cities the province alone; "" where it does not begin with a province.
    """
    found = _PROVINCE.match(name)
    if found is None:
        return ""
    province, rest = found[1], found[2]
    cities = {_KIND_OF_CITY.sub("", city) for city in rest.split("、") if city}
    return province + (cities.pop() if len(cities) == 1 else "")


def _files() -> list[tuple[int, Path]]:
    """Return the files whose keys may begin with 86. Keys are sorted as text over all files."""
    package = find_spec("phonenumbers")
    if package is None or package.origin is None:
        raise ImportError("phonenumbers is missing. Install it again.")
    folder = Path(package.origin).parent / "geodata"
    paths: list[Path] = []
    while (path := folder / f"data{len(paths)}.py").exists():
        paths.append(path)
    firsts = []
    for path in paths:
        with path.open(encoding="utf-8") as file:
            key = _FIRST_KEY.search(file.read(_HEAD_CHARS))
        firsts.append(key[1] if key is not None else "")
    ends = [*firsts[1:], _TO]
    return [
        (number, path)
        for number, (path, first, end) in enumerate(zip(paths, firsts, ends, strict=True))
        if first < _TO and end > _FROM
    ]
