"""Over a limit in real Chromium: the browser works for its answer, or the visitor waits; nobody is shut out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from app.adapters.throttle import DEFAULT_LIMITS, Limit
from tests.acceptance.browser.running_site import RunningSite, running_site
from tests.acceptance.browser.visitors import (
    WORDS,
    ask,
    headline,
    keep_screenshot,
    overflow,
    press_check,
    small_targets,
    violations,
    visiting,
)

ONE_AN_HOUR = {**DEFAULT_LIMITS, "web": Limit(queries=1, window_s=3600, wrong=5, wrong_window_s=3600)}
WAIT = {"en": "Many checks, please wait", "zh-CN": "查询较多，请稍等"}
WORKING = {"en": "Your browser is calculating", "zh-CN": "浏览器正在计算"}
QUICK = 20  # rounds
SLOW = 100_000


@asynccontextmanager
async def over_limit(
    browser: Browser,
    *,
    locale: str = "en",
    rounds: int = QUICK,
    script: bool = True,
    bypass_csp: bool = False,
) -> AsyncIterator[tuple[Page, RunningSite]]:
    """Yield the page of a visitor who asked once and was refused the second time."""
    async with (
        running_site(limits=ONE_AN_HOUR, proof_rounds=rounds) as site,
        visiting(browser, site, locale=locale, script=script, bypass_csp=bypass_csp) as page,
    ):
        await ask(page, site, site.service.code())
        assert (await headline(page)).replace("\n", "") == WORDS[locale]["first"]
        await ask(page, site, site.service.code(number=1))
        assert await headline(page) == WAIT[locale]
        assert site.recorded() == 1
        yield page, site


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
async def test_the_browser_works_and_gets_the_answer(browser: Browser, locale: str) -> None:
    async with over_limit(browser, locale=locale) as (page, site):
        await expect(page.locator("#proof")).to_be_visible()
        await press_check(page)
        assert (await headline(page)).replace("\n", "") == WORDS[locale]["first"]
        assert site.recorded() == 2
        for number in range(2, 6):  # four more on the pass it left
            await ask(page, site, site.service.code(number=number))
            assert (await headline(page)).replace("\n", "") == WORDS[locale]["first"]
        await ask(page, site, site.service.code(number=6))
        assert await headline(page) == WAIT[locale]
        await press_check(page)  # and work again
        assert site.recorded() == 7


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
async def test_the_page_tells_what_the_browser_does(browser: Browser, axe: str, locale: str) -> None:
    async with over_limit(browser, locale=locale, bypass_csp=True) as (page, site):
        status = page.locator("#proof-status[role=status]")
        assert await status.inner_text() == ""
        for width in (320, 768, 1280):
            await page.set_viewport_size({"width": width, "height": 720})
            assert await overflow(page) == 0
            assert await small_targets(page) == []
            assert await violations(page, axe) == []
        await page.set_viewport_size({"width": 375, "height": 720})
        await page.route("**/challenge*", lambda _route: None)  # luck could solve it before we have looked
        await page.click("button.main")
        await expect(status).to_contain_text(WORKING[locale])
        assert await page.get_attribute("button.main", "aria-disabled") == "true"
        assert await violations(page, axe) == []
        await keep_screenshot(page, f"working-{locale}")
        await page.dblclick("button.main", force=True)  # impatience changes nothing
        assert site.recorded() == 1


async def test_a_page_that_gets_no_work_says_so_and_can_be_tried_again(browser: Browser) -> None:
    async with over_limit(browser) as (page, site):
        await page.route("**/challenge*", lambda route: route.abort())
        await page.click("button.main")
        await expect(page.locator("#proof-status")).to_have_text(
            "The calculation did not finish. Please wait a little and press Check again."
        )
        await page.unroute("**/challenge*")
        await press_check(page)
        assert site.recorded() == 2


async def test_a_solution_sent_twice_or_by_somebody_else_is_refused(browser: Browser) -> None:
    async with over_limit(browser) as (page, site):
        proofs: list[str] = []
        page.on(
            "request",
            lambda request: proofs.append(request.post_data or "") if request.method == "POST" else None,
        )
        await press_check(page)
        (body,) = proofs
        again = body.replace(site.service.code(number=1), "")
        fields = dict(pair.split("=", 1) for pair in again.split("&"))
        statuses = []
        await page.context.clear_cookies(name="yz_pass")
        own = await page.evaluate(_POST, [_form(fields, site.service.code(number=2))])
        statuses.append(own)
        async with visiting(browser, site) as stranger:
            await ask(stranger, site, site.service.code(number=3))
            statuses.append(await stranger.evaluate(_POST, [_form(fields, site.service.code(number=4))]))
        assert statuses == [429, 429]
        assert site.recorded() == 3


_POST = """async ([body]) => (await fetch("/verify", {
  method: "POST", redirect: "manual", body, headers: {"Content-Type": "application/x-www-form-urlencoded"},
})).status"""


def _form(fields: dict[str, str], code: str) -> str:
    return "&".join(f"{name}={value}" for name, value in {**fields, "nonce": "A" * 22, "code": code}.items())


async def test_without_a_script_the_visitor_waits_and_then_asks(browser: Browser) -> None:
    async with over_limit(browser, script=False) as (page, site):
        assert await page.locator("#proof").is_hidden()
        await press_check(page)
        assert await headline(page) == WAIT["en"]
        site.service.clock.advance(3600)
        await press_check(page)
        assert await headline(page) == WORDS["en"]["first"]
        assert site.recorded() == 2


async def test_when_the_wait_is_over_there_is_no_work(browser: Browser) -> None:
    async with over_limit(browser, rounds=SLOW) as (page, site):
        site.service.clock.advance(3600)
        await page.evaluate("performance.now = () => 1e9")
        await press_check(page)
        assert await headline(page) == WORDS["en"]["first"]


async def test_the_work_as_it_is_set_up_takes_seconds(browser: Browser) -> None:
    async with over_limit(browser, rounds=500) as (page, site):
        async with page.expect_navigation(timeout=200_000):  # luck decides, and what else the machine does
            await page.click("button.main")
        assert site.recorded() == 2
