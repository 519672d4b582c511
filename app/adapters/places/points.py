"""The province of a point by the nearest known city; cities.csv lists them densely where provinces meet.

Held against a tenth of the source's places that were kept out of the list, 2 of 100 are placed wrongly and 3 not at
all; those lie along borders, where half the source's places are.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from functools import cache
from pathlib import Path
from typing import Final

ABROAD: Final = "境外"
_FILE: Final = Path(__file__).with_name("cities.csv")
_DEGREE_KM: Final = 111.195  # of latitude, on a sphere of 6371 km
_MOST_KM: Final = 250.0
_AS_NEAR: Final = 0.8  # the nearest is no answer where it is farther than this share of the next province's
_LATITUDES: Final = (3.0, 54.0)  # of the country and its seas
_LONGITUDES: Final = (73.0, 136.0)
_NOWHERE_DEGREES: Final = 0.01  # a phone without a position says 0, 0


class CityTable:
    """Cities by latitude. About 100 KB; finding one reads those of four degrees and a half around the point."""

    def __init__(self) -> None:
        self._latitudes: array[float] = array("d")
        self._longitudes: array[float] = array("d")
        self._provinces: list[str] = []

    def add(self, latitude: float, longitude: float, province: str) -> None:
        """List a city; they must come from south to north."""
        self._latitudes.append(latitude)
        self._longitudes.append(longitude)
        self._provinces.append(province)

    def find(self, latitude: float, longitude: float) -> str:
        """Return the province of the nearest city within 250 km, or "" where another province's is almost as near.

        Distances are those on a plane touching the earth at the point, wrong by less than 1 % at 250 km.
        """
        around = _MOST_KM / _DEGREE_KM
        start = bisect_left(self._latitudes, latitude - around)
        end = bisect_right(self._latitudes, latitude + around)
        narrowing = math.cos(math.radians(latitude))
        nearest: dict[str, float] = {}
        for at in range(start, end):
            away = math.hypot(self._latitudes[at] - latitude, (self._longitudes[at] - longitude) * narrowing)
            if away < nearest.get(self._provinces[at], around):
                nearest[self._provinces[at]] = away
        by_distance = sorted((away, province) for province, away in nearest.items())
        if not by_distance:
            return ""
        if len(by_distance) > 1 and by_distance[0][0] > by_distance[1][0] * _AS_NEAR:
            return ""
        return by_distance[0][1]


@cache
def load_cities() -> CityTable:
    """Read the list of cities, once in a process. Raises ``OSError`` or ``ValueError`` where it is not whole."""
    table = CityTable()
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            latitude, longitude, province = line.split(",")
            table.add(float(latitude), float(longitude), province)
    return table


def is_somewhere(latitude: float, longitude: float) -> bool:
    """Tell whether these are degrees of a point that a phone may really have been at."""
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # false for what is no number, too
        return False
    return max(abs(latitude), abs(longitude)) >= _NOWHERE_DEGREES


def is_far_abroad(latitude: float, longitude: float) -> bool:
    """Tell whether a point lies outside the rectangle around the country, where no city is listed."""
    south, north = _LATITUDES
    west, east = _LONGITUDES
    return not (south <= latitude <= north and west <= longitude <= east)
