"""A served instance that is set up for pages inside WeChat: its ticket comes from the platform, once for all pages."""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.acceptance.cli.shell import PATIENCE_S, Server, Shell
from tests.fakes.wechat_platform import STABLE_TOKEN, TICKET, WechatPlatform
from tests.unit.web_channel.test_in_wechat import AGENTS

pytestmark = pytest.mark.xdist_group("simulate-wechat")


def flags_of(platform: WechatPlatform) -> tuple[str, ...]:
    account = platform.account
    settings = {
        "wechat.api_base": platform.url,
        "wechat.js_sdk": "true",
        "wechat.domain_check_files": "MP_verify_4Xv1.txt=4Xv1aB, q/8c1d.txt=of-the-program",
        "wechat.official_account.token": "token-of-the-account",
        "wechat.official_account.app_id": account.app_id,
        "wechat.official_account.app_secret": account.app_secret,
    }
    return tuple(word for name, value in settings.items() for word in ("--set", f"{name}={value}"))


def signed(server: Server, page: str) -> tuple[int, Any]:
    """Return the status and the document of the signature of ``page``."""
    status, document = server.get(f"/channels/wechat/js-sdk?url={quote(page, safe='')}")
    return status, json.loads(document)


def opened_inside_wechat(server: Server) -> str:
    request = urllib.request.Request(f"{server.url}/", headers={"User-Agent": AGENTS["android"]})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        page: bytes = response.read()
    return page.decode()


def look_around(server: Server) -> None:
    page = f"{server.url}/q/123?from=timeline"
    status, first = signed(server, page)
    ticket = "ticket-2"  # the platform counts what it lends; the first is the access token
    text = f"jsapi_ticket={ticket}&noncestr={first['nonceStr']}&timestamp={first['timestamp']}&url={page}"
    assert status == 200
    assert first["signature"] == hashlib.sha1(text.encode()).hexdigest()
    assert signed(server, f"{server.url}/")[0] == 200
    assert signed(server, "https://elsewhere.example/")[0] == 400
    assert "/static/wechat.js" in opened_inside_wechat(server)
    assert "/static/wechat.js" not in server.get("/")[1]
    assert server.get("/MP_verify_4Xv1.txt") == (200, "4Xv1aB")
    assert server.get("/q/8c1d.txt") == (200, "of-the-program")
    assert server.get("/another.txt")[0] == 404


async def test_pages_are_signed_and_the_domain_is_proved(tmp_path: Path) -> None:
    async with WechatPlatform().running() as platform:
        shell = Shell(tmp_path / "data")
        await asyncio.to_thread(shell.run, "init")
        serving = shell.serving("serve", *flags_of(platform))
        server = await asyncio.to_thread(serving.__enter__)
        try:
            await asyncio.to_thread(look_around, server)
        finally:
            await asyncio.to_thread(serving.__exit__, None, None, None)
        assert platform.calls == [STABLE_TOKEN, TICKET]
    log = server.log.read_text()
    assert "ticket-2" not in log
    assert "from=timeline" not in log
