"""Written addresses become the places that telephone numbers have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.places import PhoneNumberPlaces
from app.adapters.places.mainland import PROVINCES

PLACES = PhoneNumberPlaces()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("广东省深圳市南山区高新南一道", "广东深圳"),
        ("广东深圳南山", "广东深圳"),
        ("广东省 佛山市", "广东佛山"),
        ("广东，佛山", "广东佛山"),
        ("中国广东省广州市", "广东广州"),
        ("中华人民共和国江苏省苏州市", "江苏苏州"),
        ("北京市朝阳区建国路88号", "北京"),
        ("北京朝阳", "北京"),
        ("上海市浦东新区", "上海"),
        ("重庆", "重庆"),
        ("内蒙古自治区呼和浩特市赛罕区", "内蒙古呼和浩特"),
        ("内蒙古兴安盟乌兰浩特市", "内蒙古兴安"),
        ("广西壮族自治区南宁市", "广西南宁"),
        ("宁夏回族自治区银川市", "宁夏银川"),
        ("西藏自治区那曲市", "西藏那曲"),
        ("新疆维吾尔自治区伊犁哈萨克自治州伊宁市", "新疆伊犁"),
        ("湖北省恩施土家族苗族自治州恩施市", "湖北恩施"),
        ("云南省德宏傣族景颇族自治州芒市", "云南德宏"),
        ("湖北省神农架林区", "湖北神农架"),
        ("黑龙江省大兴安岭地区漠河市", "黑龙江大兴安岭"),
        ("吉林省吉林市船营区", "吉林吉林"),
        ("吉林省长春市", "吉林长春"),
        ("海南省三亚市", "海南三亚"),  # of which no number tells
        ("青海省海南藏族自治州共和县", "青海海南"),
        ("河北省雄安新区", "河北"),
        ("山西省", "山西"),
        ("香港特别行政区中西区", "香港"),
        ("中国香港", "香港"),
        ("香港九龍彌敦道", "香港"),
        ("澳門特别行政区", "澳门"),
        ("台灣臺北市信義區", "台湾"),
        ("创意园(广东省广州市海珠区新港中路397号)", "广东广州"),
        ("某某大厦（北京市海淀区）", "北京"),
        ("北京东路12号", ""),
        ("河南中路", ""),
        ("上海路3号", ""),
        ("天津南街", ""),
        ("建国路88号", ""),
        ("深圳", ""),
        ("1600 Amphitheatre Parkway", ""),
        ("中国", ""),
        ("()", ""),
        ("  ", ""),
        ("", ""),
    ],
)
def test_an_address_begins_with_a_place(address: str, place: str) -> None:
    assert PLACES.locate_address(address) == place


@pytest.mark.parametrize(
    "number", ["+8613904711234", "+8613912345678", "+861065529988", "+85291234567", "+886912345678"]
)
def test_a_place_is_spelt_as_that_of_a_number(number: str) -> None:
    place = PLACES.locate(number)
    assert PLACES.locate_address(place) == place


def test_every_place_of_a_number_is_one_of_an_address() -> None:
    for province in PROVINCES:
        assert PLACES.locate_address(province) == province


@given(st.text(max_size=300) | st.text("中国广东省深圳市区自治州北京内蒙古()（） ", max_size=30))
def test_whatever_is_written_nothing_is_raised(address: str) -> None:
    place = PLACES.locate_address(address)
    assert place == "" or place.startswith(PROVINCES)
    assert len(place) <= 20
