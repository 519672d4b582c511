"""The JS-SDK's signature against the platform's own example, and the menu within the platform's limits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.main import main
from channels.wechat.incoming import MENU
from channels.wechat.platform.answers import Granted, Refused
from channels.wechat.platform.js_sdk import sign_page
from channels.wechat.platform.menu import create_menu, load_menu
from tests.unit.wechat.platform.clients import TAKEN, lent, path_of, refusal, stage

# 微信JS-SDK说明文档, appendix 1
TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
NONCE = "Wm3WZYTPz0wzccnW"
TIMESTAMP_S = 1414587457
URL = "http://mp.weixin.qq.com?params=value"
SIGNATURE = "0f9de62fce790f9a083d5c99e95740ceb90c27ed"

words = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#&="))


def test_the_signature_is_that_of_the_documented_example() -> None:
    assert sign_page(ticket=TICKET, nonce=NONCE, timestamp_s=TIMESTAMP_S, url=URL) == SIGNATURE


@given(fragment=st.text())
def test_what_follows_the_hash_is_not_signed(fragment: str) -> None:
    url = f"{URL}#{fragment}"
    assert sign_page(ticket=TICKET, nonce=NONCE, timestamp_s=TIMESTAMP_S, url=url) == SIGNATURE


@given(ticket=words, nonce=words, timestamp_s=st.integers(0, 2**32), path=words)
def test_the_signature_is_over_the_four_in_the_order_of_their_names(
    ticket: str, nonce: str, timestamp_s: int, path: str
) -> None:
    url = f"https://check.example.cn/{path}"
    pairs = sorted(
        {"noncestr": nonce, "timestamp": str(timestamp_s), "url": url, "jsapi_ticket": ticket}.items()
    )
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    expected = hashlib.sha1(joined.encode()).hexdigest()
    assert sign_page(ticket=ticket, nonce=nonce, timestamp_s=timestamp_s, url=url) == expected


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_address_is_signed(url: str) -> None:
    signed = sign_page(ticket=TICKET, nonce=NONCE, timestamp_s=TIMESTAMP_S, url=url)
    assert re.fullmatch(r"[0-9a-f]{40}", signed)


def buttons_of(menu: Mapping[str, object]) -> Iterator[tuple[dict[str, object], int]]:
    """Every button with the bytes its name may have."""
    tops = menu["button"]
    assert isinstance(tops, list)
    assert 1 <= len(tops) <= 3
    for top in tops:
        yield top, 16
        below = top.get("sub_button", [])
        assert len(below) <= 5
        for one in below:
            yield one, 60


def test_the_menu_keeps_the_platforms_limits() -> None:
    for button, most_bytes in buttons_of(load_menu()):
        assert 0 < len(str(button["name"]).encode()) <= most_bytes
        if "sub_button" not in button:
            assert button["type"] in {"click", "scancode_waitmsg"}
            assert 0 < len(str(button["key"]).encode()) <= 128


def test_every_key_of_the_menu_is_understood() -> None:
    buttons = [button for button, _ in buttons_of(load_menu()) if "key" in button]
    clicked = {str(button["key"]) for button in buttons if button["type"] == "click"}
    assert clicked == {"help", "report", "language"}
    assert clicked <= MENU.keys()
    assert [button["key"] for button in buttons if button["type"] == "scancode_waitmsg"] == ["scan"]


async def test_the_menu_is_put_in_place() -> None:
    made = stage([lent(), TAKEN, refusal(40018)])
    assert isinstance(await create_menu(made.platform, load_menu()), Granted)
    call = made.calls.made[-1]
    assert path_of(call).endswith("/cgi-bin/menu/create")
    assert json.loads(call.body) == load_menu()
    assert "扫码".encode() in call.body
    assert await create_menu(made.platform, load_menu()) == Refused(code=40018)


def test_the_menu_is_shown_without_any_account(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wechat", "menu", "--show"]) == 0
    assert json.loads(capsys.readouterr().out) == load_menu()
    assert main(["wechat", "menu", "--show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == load_menu()
