"""Every state of every page: no axe violation, no sideways scrolling, 44 px targets, both themes and languages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Browser, Page

from app.core.ports.throttle import Throttle
from tests.acceptance.browser.running_site import RunningSite, running_site
from tests.acceptance.browser.visitors import (
    ask,
    headline,
    keep_screenshot,
    overflow,
    small_targets,
    violations,
    visiting,
    without_trouble,
)
from tests.fakes.open_throttle import OpenThrottle, ShutThrottle

State = Callable[[Page, RunningSite], Awaitable[None]]


def asked(batch: str, number: int = 0) -> State:
    async def reach(page: Page, site: RunningSite) -> None:
        await ask(page, site, site.service.code(batch, number))

    return reach


def opened(path: str) -> State:
    async def reach(page: Page, site: RunningSite) -> None:
        await page.goto(site.url + path.format(code=site.service.code()))

    return reach


def typed(text: str) -> State:
    async def reach(page: Page, site: RunningSite) -> None:
        await ask(page, site, text)

    return reach


def after_others(batch: str, others: int) -> State:
    async def reach(page: Page, site: RunningSite) -> None:
        async with ClientSession() as client:
            for _ in range(others):
                question = {"code": site.service.code(batch)}
                async with client.post(f"{site.url}/api/v1/verifications", json=question) as response:
                    assert response.status == 200
        site.service.clock.advance(3600)
        await ask(page, site, site.service.code(batch))

    return reach


async def slip(page: Page, site: RunningSite) -> None:
    code = site.service.code()
    await ask(page, site, code[:6] + str((int(code[6]) + 1) % 10) + code[7:])


async def slip_pair(page: Page, site: RunningSite) -> None:
    code = site.service.code()
    place = next(n for n in range(len(code) - 1) if code[n] != code[n + 1])
    await ask(page, site, code[:place] + code[place + 1] + code[place] + code[place + 2 :])


async def unknown(page: Page, site: RunningSite) -> None:
    await ask(page, site, site.service.unknown_code())


async def own_again(page: Page, site: RunningSite) -> None:
    await ask(page, site, site.service.code())
    site.service.clock.advance(3600)
    await ask(page, site, site.service.code())


async def own_moment(page: Page, site: RunningSite) -> None:
    await ask(page, site, site.service.code())
    await ask(page, site, site.service.code())


async def record(page: Page, site: RunningSite) -> None:
    await ask(page, site, site.service.code())
    site.service.clock.advance(3600)
    await page.reload()


async def trouble(page: Page, site: RunningSite) -> None:
    site.service.store.down = True
    await ask(page, site, site.service.code())


STATES: dict[str, tuple[State, str]] = {
    "home": (opened("/"), "Check the product in your hand"),
    "filled": (opened("/q/{code}"), "The digits are filled in. Press Check."),
    "first": (asked("active"), "Matches our record, first check"),
    "own-moment": (own_moment, "Matches our record, first check"),
    "own": (own_again, "Matches our record, you checked before"),
    "repeat": (after_others("active", 1), "This code was checked before"),
    "allowed": (after_others("family", 1), "Matches our record, checked before"),
    "over-limit": (after_others("active", 4), "Checked too often, do not use"),
    "not-found": (unknown, "Not in our record"),
    "not-active": (asked("not_active"), "Label not yet activated"),
    "voided": (asked("voided"), "Label withdrawn, do not use"),
    "recalled": (asked("recalled"), "Product recalled, do not use"),
    "expired": (asked("expired"), "Checking has ended"),
    "slip": (slip, "Please look at one digit"),
    "slip-pair": (slip_pair, "Please look at two digits"),
    "no-digits": (typed("hello"), "No digits found"),
    "wrong-length": (typed("12345"), "Too many or too few digits"),
    "throttled": (asked("active"), "Many checks, please wait"),
    "unavailable": (trouble, "No answer just now"),
    "record": (record, "A check made earlier"),
    "no-such-page": (opened("/nothing"), "There is no such page"),
    "damaged-link": (opened("/01/123/21/{code}"), "This link is damaged"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def window(browser: Browser) -> AsyncIterator[Page]:
    """One window for every state: a new one costs more than what is looked at in it."""
    context = await browser.new_context(locale="en", bypass_csp=True)
    yield await context.new_page()
    await context.close()


@asynccontextmanager
async def new_visitor(window: Page, site: RunningSite) -> AsyncIterator[Page]:
    """Lend the window to somebody who was never there."""
    await window.context.clear_cookies()
    await window.emulate_media(color_scheme="light")
    await window.set_viewport_size({"width": 375, "height": 720})
    await window.goto("about:blank")
    with without_trouble(window, site):
        yield window


@pytest.mark.parametrize("state", STATES)
async def test_a_page_is_whole_for_everybody(window: Page, axe: str, state: str) -> None:
    reach, heading = STATES[state]
    throttle: Throttle = ShutThrottle() if state == "throttled" else OpenThrottle()
    async with running_site(throttle=throttle) as site, new_visitor(window, site) as page:
        await reach(page, site)
        assert await headline(page) == heading
        assert await page.title() != ""
        for locale in ("en", "zh-CN"):
            if locale == "zh-CN":
                await in_chinese(page, site, reach)
            for width in (320, 768, 1280):
                await page.set_viewport_size({"width": width, "height": 720})
                assert await overflow(page) == 0, (locale, width)
                assert await small_targets(page) == [], (locale, width)
                assert await violations(page, axe) == [], (locale, width)
            await page.set_viewport_size({"width": 320, "height": 640})
            await page.emulate_media(color_scheme="dark")
            assert await violations(page, axe) == [], (locale, "dark")
            await page.emulate_media(color_scheme="light")
            await keep_screenshot(page, f"{state}-{locale}")


async def in_chinese(page: Page, site: RunningSite, reach: State) -> None:
    """Show the same state in the other language: by the switch, or by asking again where a POST showed it."""
    if page.url.endswith("/verify"):
        await page.goto(f"{site.url}/?lang=zh-CN")
        await reach(page, site)
    else:
        await page.goto(f"{page.url}?lang=zh-CN")
    assert await page.locator("html").get_attribute("lang") == "zh-CN"


async def test_field_and_button_stand_above_the_fold_of_a_small_phone(browser: Browser) -> None:
    async with running_site() as site:
        for locale in ("zh-CN", "en"):
            async with visiting(browser, site, locale=locale, width=320) as page:
                await page.set_viewport_size({"width": 320, "height": 480})
                await page.goto(f"{site.url}/q/{site.service.code()}")
                box = await page.locator("button.main").bounding_box()
                assert box is not None
                assert box["y"] + box["height"] < 480
                whole = "document.getElementById('code').scrollWidth <= document.getElementById('code').clientWidth"
                assert await page.evaluate(whole), "twenty digits in fours fit in the field"
