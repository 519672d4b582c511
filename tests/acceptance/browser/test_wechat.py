"""Pages inside WeChat's browser, in real Chromium with WeChat's real library: only the client below it is played."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.acceptance.browser.running_site import APP_ID, ROOT, TICKET, RunningSite, running_site
from tests.acceptance.browser.visitors import (
    WORDS,
    ask,
    headline,
    keep_screenshot,
    press_check,
    violations,
    visiting,
)
from tests.unit.web_channel.test_in_wechat import AGENTS

LIBRARY = ROOT / "app" / "web" / "static" / "vendor" / "weixin-js-sdk.js"
CLIENT = (Path(__file__).parent / "wechat_client.js").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def library_is_installed() -> None:
    if not LIBRARY.is_file():
        pytest.fail("WeChat's library is not installed: install Node and npm, then run `make clean setup`")


@pytest_asyncio.fixture(loop_scope="session")
async def signed_site() -> AsyncIterator[RunningSite]:
    async with running_site(js_sdk=True) as site:
        yield site


@asynccontextmanager
async def in_wechat(
    browser: Browser, site: RunningSite, *, system: str = "android", client: bool = True, **told: Any
) -> AsyncIterator[Page]:
    """Open a page as WeChat does; ``told`` is what its client does: ``scan`` a text, refuse the signature.

    Beside what fails every visit, an error in the console fails the test.
    """
    async with visiting(browser, site, user_agent=AGENTS[system]) as page:
        errors: list[str] = []
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        if client:
            plays = json.dumps({"iphone": system == "iphone", "refuses": False, "scan": ""} | told)
            await page.add_init_script(f"window.wechatClient = {plays};\n{CLIENT}")
        yield page
        assert errors == []


async def calls(page: Page, name: str) -> list[dict[str, Any]]:
    """Return what the client was given in its calls of that name on this page."""
    found = await page.evaluate("window.wechatClient.calls")
    return [given for called, given in found if called == name]


async def wait_until_ready(page: Page) -> None:
    """Wait until the page has told the client its card, the last thing it does."""
    await page.wait_for_function(
        "window.wechatClient.calls.some(([name]) => name === 'updateTimelineShareData')"
    )


async def test_the_library_is_served_as_it_was_published(browser: Browser, signed_site: RunningSite) -> None:
    published = ROOT / "node_modules" / "weixin-js-sdk"
    async with in_wechat(browser, signed_site) as page:
        for ours, theirs in (("weixin-js-sdk.js", "index.js"), ("weixin-js-sdk.LICENSE.txt", "LICENSE")):
            served = await page.request.get(f"{signed_site.url}/static/vendor/{ours}")
            assert await served.body() == (published / theirs).read_bytes()


@pytest.mark.parametrize("system", AGENTS)
@pytest.mark.parametrize("address", ["https://verify.example/q/{code}", "{code}"], ids=["link", "digits"])
async def test_wechats_scanner_fills_in_and_one_tap_asks(
    browser: Browser, signed_site: RunningSite, system: str, address: str
) -> None:
    site = signed_site
    code = site.service.code()
    async with in_wechat(browser, site, system=system, scan=address.format(code=code)) as page:
        await page.goto(f"{site.url}/")
        await wait_until_ready(page)
        await page.click("#scan")
        await expect(page.locator("#scan-status")).to_have_text("The digits have been read. Press Check.")
        assert (await page.input_value("#code")).replace(" ", "") == code
        assert await page.input_value("input[name=entry]") == "scanned"
        assert await page.evaluate("document.activeElement.className") == "main"
        (scanned,) = await calls(page, "scanQRCode")
        assert (scanned["needResult"], scanned["scanType"]) == (1, ["qrCode"])
        await keep_screenshot(page, f"wechat-scanned-{system}")
        assert site.recorded() == 0
        await press_check(page)
        assert await headline(page) == WORDS["en"]["first"]
        request, _, _ = site.service.journal.answers[0]
        assert request.code.entry == "scanned"


async def test_the_client_is_shown_a_signature_of_the_very_page(
    browser: Browser, signed_site: RunningSite
) -> None:
    site = signed_site
    async with in_wechat(browser, site) as page:
        address = f"{site.url}/q/{site.service.code()}?from=timeline&lang=en"
        await page.goto(f"{address}#main")
        await wait_until_ready(page)
        (given,) = await calls(page, "preVerifyJSAPI")
        text = (
            f"jsapi_ticket={TICKET}&noncestr={given['verifyNonceStr']}"
            f"&timestamp={given['verifyTimestamp']}&url={address}"
        )
        assert given["verifySignature"] == hashlib.sha1(text.encode()).hexdigest()
        assert given["appId"] == APP_ID
        assert "scanQRCode" in given["verifyJsApiList"]
        # the library's report to another host starts with this question
        assert await calls(page, "getNetworkType") == []


async def test_a_card_of_any_page_leads_to_the_check_and_tells_of_no_answer(
    browser: Browser, signed_site: RunningSite
) -> None:
    site = signed_site
    cards = []
    async with in_wechat(browser, site) as page:
        await page.goto(f"{site.url}/")
        await wait_until_ready(page)
        cards.append(await calls(page, "updateAppMessageShareData"))
        await ask(page, site, site.service.code("voided"))
        assert "/r/" in page.url
        await wait_until_ready(page)
        result = await headline(page)
        cards.append(await calls(page, "updateAppMessageShareData"))
        (timeline,) = await calls(page, "updateTimelineShareData")
        await keep_screenshot(page, "wechat-result")
        picture = await page.request.get(timeline["imgUrl"])
        assert (picture.status, picture.headers["content-type"]) == (200, "image/png")
    kept = {"title": "Check the product in your hand", "link": f"{site.url}/", "imgUrl": timeline["imgUrl"]}
    text = "Scan the label, or enter the digits under its coating. Free, and no account is needed."
    for (card,) in cards:
        assert {name: card[name] for name in ("title", "desc", "link", "imgUrl")} == {**kept, "desc": text}
    assert {name: timeline[name] for name in ("title", "link", "imgUrl")} == kept
    assert result not in json.dumps(cards)
    assert not any("/r/" in str(one) for (card,) in cards for one in card.values())


@pytest.mark.parametrize("system", AGENTS)
async def test_without_wechats_client_the_page_is_whole(
    browser: Browser, signed_site: RunningSite, axe: str, system: str
) -> None:
    site = signed_site
    async with in_wechat(browser, site, system=system, client=False) as page:
        async with page.expect_response("**/vendor/weixin-js-sdk.js") as library:
            await page.goto(f"{site.url}/")
        assert (await library.value).ok
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("typeof window.yanzhenScan") == "undefined"
        assert await violations(page, axe) == []
        await ask(page, site, site.service.code())
        assert await headline(page) == WORDS["en"]["first"]
        assert await violations(page, axe) == []


async def test_a_refused_signature_leaves_the_camera_and_shares_nothing(
    browser: Browser, signed_site: RunningSite, axe: str
) -> None:
    async with in_wechat(browser, signed_site, refuses=True) as page:
        await page.goto(f"{signed_site.url}/")
        await page.wait_for_function("window.wechatClient.calls.length > 0")
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("typeof window.yanzhenScan") == "undefined"
        assert await calls(page, "updateAppMessageShareData") == []
        assert await page.locator("#scan").is_visible()
        assert await violations(page, axe) == []


@pytest.mark.parametrize(
    ("scan", "said"),
    [
        ("https://restaurant.example/menu", "not a QR code of this service"),
        ("EAN_13,6901234567892", "not a QR code of this service"),
        ("fail", "type the digits"),
        ("cancel", ""),
    ],
)
async def test_what_is_no_label_fills_in_nothing(
    browser: Browser, signed_site: RunningSite, axe: str, scan: str, said: str
) -> None:
    async with in_wechat(browser, signed_site, scan=scan) as page:
        await page.goto(f"{signed_site.url}/")
        await wait_until_ready(page)
        await page.click("#scan")
        await page.wait_for_function("window.wechatClient.calls.some(([name]) => name === 'scanQRCode')")
        await expect(page.locator("#scan-status")).to_contain_text(said)
        assert await page.input_value("#code") == ""
        assert await page.input_value("input[name=entry]") == "typed"
        assert (await page.evaluate("typeof window.yanzhenScan") == "undefined") == (scan == "fail")
        assert await violations(page, axe) == []


async def test_without_the_library_the_page_is_whole(browser: Browser, signed_site: RunningSite) -> None:
    async with visiting(browser, signed_site, user_agent=AGENTS["android"]) as page:
        await page.route("**/vendor/weixin-js-sdk.js", lambda route: route.fulfill(status=404))
        await ask(page, signed_site, signed_site.service.code())
        assert await headline(page) == WORDS["en"]["first"]
