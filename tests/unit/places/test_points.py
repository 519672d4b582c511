"""Points become provinces, and nothing where that would be a guess."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app.adapters.places as places_package
from app.adapters.places import PhoneNumberPlaces
from app.adapters.places.mainland import PROVINCES
from app.adapters.places.points import CityTable

PLACES = PhoneNumberPlaces()
CITIES = Path(places_package.__file__).with_name("cities.csv")


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        (39.904, 116.407, "北京"),
        (39.95, 116.82, "河北"),  # 燕郊, an hour from the middle of Beijing
        (31.230, 121.474, "上海"),
        (31.62, 121.40, "上海"),  # on the island of 崇明
        (31.38, 120.98, "江苏"),  # 昆山
        (29.563, 106.551, "重庆"),
        (30.46, 106.63, "四川"),  # 广安
        (40.842, 111.749, "内蒙古"),
        (41.95, 101.06, "内蒙古"),  # 额济纳
        (43.825, 87.617, "新疆"),
        (39.0, 83.0, "新疆"),  # in the desert
        (29.652, 91.172, "西藏"),
        (52.97, 122.53, "黑龙江"),
        (20.02, 110.35, "海南"),
        (16.83, 112.34, "海南"),  # 三沙
        (22.543, 114.058, "广东"),
        (22.28, 114.16, "香港"),
        (22.19, 113.54, "澳门"),
        (22.27, 113.57, "广东"),  # 珠海
        (25.033, 121.565, "台湾"),
        (24.44, 118.33, "台湾"),  # 金门
        (24.48, 118.09, "福建"),  # 厦门
        (40.12, 124.38, "辽宁"),  # 丹东
        (40.10, 124.40, "境外"),  # on the other bank
        (50.24, 127.50, "黑龙江"),
        (50.28, 127.53, "境外"),
        (24.01, 97.85, "云南"),
        (21.03, 105.85, "境外"),
        (47.9, 106.9, "境外"),
        (14.6, 121.0, "境外"),
        (35.68, 139.69, "境外"),
        (40.7, -74.0, "境外"),
        (-33.87, 151.21, "境外"),
        (90.0, 0.0, "境外"),
        (22.50, 114.13, ""),  # as near to 深圳 as to its neighbours in 香港
        (9.55, 112.89, ""),  # no city for hundreds of kilometres
        (0.0, 0.0, ""),
        (0.0, -0.0, ""),
    ],
)
def test_a_point_has_a_province(latitude: float, longitude: float, place: str) -> None:
    assert PLACES.locate_point(latitude, longitude) == place


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        (90.1, 116.4), (-91.0, 116.4), (39.9, 180.5), (39.9, -181.0), (1e308, 1e308), (math.nan, 116.4),
        (39.9, math.nan), (math.inf, 116.4), (39.9, -math.inf), (math.nan, math.nan),
    ],
)  # fmt: skip
def test_what_is_no_point_has_no_place(latitude: float, longitude: float) -> None:
    assert PLACES.locate_point(latitude, longitude) == ""


@given(st.floats(), st.floats())
def test_whatever_the_numbers_nothing_is_raised(latitude: float, longitude: float) -> None:
    assert PLACES.locate_point(latitude, longitude) in {"", "境外", *PROVINCES}


@given(st.floats(3, 54), st.floats(73, 136), st.floats(-0.006, 0.006), st.floats(-0.006, 0.006))
def test_the_shift_of_domestic_maps_moves_nobody_from_province_to_province(
    latitude: float, longitude: float, north: float, east: float
) -> None:
    here, shown = (
        PLACES.locate_point(latitude, longitude),
        PLACES.locate_point(latitude + north, longitude + east),
    )
    # within 600 m the answer is the same or none, save where provinces' cities lie closer than that to the point
    assert here == shown or "" in {here, shown} or near_a_city(latitude, longitude)


def near_a_city(latitude: float, longitude: float) -> bool:
    return any(
        math.hypot(city[0] - latitude, (city[1] - longitude) * math.cos(math.radians(latitude))) < 0.05
        for city in cities()
    ) or not (3.01 < latitude < 53.99 and 73.01 < longitude < 135.99)


def cities() -> list[tuple[float, float, str]]:
    rows = (
        line.split(",")
        for line in CITIES.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
    return [(float(latitude), float(longitude), province) for latitude, longitude, province in rows]


def test_the_list_of_cities_is_whole() -> None:
    listed = cities()
    assert listed == sorted(listed)
    assert {province for _, _, province in listed} == {"境外", *PROVINCES}
    assert len(set(listed)) == len(listed) > 2000
    assert all(3 <= latitude <= 54 and 73 <= longitude <= 136 for latitude, longitude, _ in listed)
    assert "GeoNames" in CITIES.read_text(encoding="utf-8").splitlines()[1]
    assert "CC BY 4.0" in CITIES.read_text(encoding="utf-8").splitlines()[1]


def test_every_listed_city_lies_where_it_is_listed_or_at_a_border() -> None:
    assert {PLACES.locate_point(latitude, longitude) for latitude, longitude, _ in cities()} <= {
        "", "境外", *PROVINCES
    }  # fmt: skip
    for latitude, longitude, province in cities():
        assert PLACES.locate_point(latitude, longitude) in {province, ""}


@pytest.mark.parametrize(
    ("point", "place"),
    [
        ((30.0, 110.0), "a"),
        ((30.0, 110.4), "a"),
        ((30.0, 110.45), ""),  # 45 to 55: almost as near
        ((30.0, 110.5), ""),
        ((30.0, 110.55), ""),
        ((30.0, 110.6), "b"),
        ((32.2, 110.0), "a"),
        ((32.3, 110.0), ""),  # 256 km
        ((30.0, 107.45), "a"),
        ((30.0, 107.3), ""),
    ],
)
def test_near_a_border_and_far_from_all_there_is_no_answer(point: tuple[float, float], place: str) -> None:
    table = CityTable()
    table.add(30.0, 110.0, "a")
    table.add(30.0, 111.0, "b")
    assert table.find(*point) == place
