"""Pages opened inside WeChat: what they offer there, and that nothing of it shows anywhere else."""

from __future__ import annotations

import gzip
import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import channels.web as web_package
from channels.base import OutboundResponse
from channels.web.pages import WebAdapter
from channels.web.settings import WebOptions
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.unit.web_channel.test_pages import Visitor

STATIC = Path(web_package.__file__).parent / "static"
AGENTS = {
    "android": "Mozilla/5.0 (Linux; Android 14; V2301A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/122.0.6261.120 Mobile Safari/537.36 XWEB/1220133 MMWEBSDK/20240501 MMWEBID/77 "
    "MicroMessenger/8.0.50.2701(0x28003253) WeChat/arm64 Weixin NetType/WIFI Language/zh_CN ABI/arm64",
    "iphone": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 MicroMessenger/8.0.50(0x1800322d) NetType/4G Language/zh_CN",
}
BROWSER = (
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0 Mobile Safari/537.36"
)


class WechatVisitor(Visitor):
    """A visitor whose browser says what it is."""

    agent = AGENTS["android"]

    def headers(self) -> dict[str, str]:
        return {**super().headers(), "user-agent": self.agent}


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service(settings={"web": WebOptions(js_sdk=True)})
    yield service
    await service.engine.close()


@pytest.fixture
def visitor(service: SampleService) -> WechatVisitor:
    return WechatVisitor(service, WebAdapter(service.context))


def script_of(page: OutboundResponse) -> dict[str, str] | None:
    """Return the data of WeChat's script, None where the page has none."""
    found = re.search(r'<script src="/static/wechat\.js\?v=\w+" defer ([^>]*)>', page.body.decode())
    if found is None:
        return None
    return {name: html.unescape(text) for name, text in re.findall(r'data-(\w+)="([^"]*)"', found[1])}


async def every_page(visitor: Visitor, service: SampleService) -> list[OutboundResponse]:
    """Open the form, the filled form, an answer beside the form, a result, its record of later."""
    pages = [await visitor.open("/"), await visitor.open("/q/x", "/q/{digits}", digits=service.code())]
    pages.append(await visitor.ask("123"))
    answer = await visitor.ask(service.code("voided"))
    pages.append(await visitor.read(answer))
    service.clock.advance(3600)
    pages.append(await visitor.read(answer))
    return pages


@pytest.mark.parametrize("system", AGENTS)
@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_page_inside_wechat_shares_the_same_card_of_the_service(
    visitor: WechatVisitor, service: SampleService, system: str, language: str
) -> None:
    visitor.agent, visitor.language = AGENTS[system], language
    pages = await every_page(visitor, service)
    cards = [script_of(page) for page in pages]
    assert [page.status for page in pages] == [200] * 5
    assert cards[0] is not None
    assert all(card == cards[0] for card in cards)
    assert cards[0]["signer"] == "/channels/wechat/js-sdk"
    assert cards[0]["library"] == "/static/vendor/weixin-js-sdk.js"
    title = {"zh-CN": "查一查手中的产品", "en": "Check the product in your hand"}[language]
    assert cards[0]["title"] == title
    assert re.fullmatch(r"/static/share\.png\?v=\w+", cards[0]["picture"])


async def test_elsewhere_and_without_the_setting_nothing_changes(
    visitor: WechatVisitor, service: SampleService
) -> None:
    visitor.agent = BROWSER
    assert all(script_of(page) is None for page in await every_page(visitor, service))
    plain = await start_sample_service()
    other = WechatVisitor(plain, WebAdapter(plain.context))
    pages = await every_page(other, plain)
    assert all(script_of(page) is None for page in pages)
    assert all("Vary" not in dict(page.headers) for page in pages)
    await plain.engine.close()


async def test_the_pages_are_the_same_but_for_the_script(service: SampleService) -> None:
    adapter = WebAdapter(service.context, nonces=lambda: "n" * 22, secrets=lambda: "s" * 22)
    inside, outside = WechatVisitor(service, adapter), WechatVisitor(service, adapter)
    outside.agent = BROWSER
    one, other = await inside.open("/"), await outside.open("/")
    assert re.sub(r"<script src=\"/static/wechat[^\n]*\n", "", one.body.decode()) == other.body.decode()


async def test_caches_are_told_that_the_browser_matters(
    visitor: WechatVisitor, service: SampleService
) -> None:
    for page in await every_page(visitor, service):
        assert dict(page.headers)["Vary"] == "Accept-Encoding, User-Agent"
        assert dict(page.headers)["Cache-Control"] == "no-store"


async def test_the_first_response_inside_wechat_fits_in_14_kilobytes(
    visitor: WechatVisitor, service: SampleService
) -> None:
    names = ("page.css", "page.js", "icon.svg", "wechat.js")
    needed = sum(len(gzip.compress((STATIC / name).read_bytes(), mtime=0)) for name in names)
    page = await visitor.open("/")
    assert len(gzip.compress(page.body, mtime=0)) + needed < 14 * 1024
    for address in re.findall(r'(?:src|href|action|data-\w+)="([^"]*)"', page.body.decode()):
        assert "//" not in address, "nothing is asked of a third party"


def test_the_picture_of_the_card_is_one_that_wechat_shows() -> None:
    picture = (STATIC / "share.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(picture[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (300, 300)
    assert len(picture) < 32 * 1024
