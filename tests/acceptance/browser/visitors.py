"""A visitor with a browser: asks about codes and looks at pages as a shopper does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Error, Page, Request

from tests.acceptance.browser.conftest import SCREENSHOTS
from tests.acceptance.browser.running_site import RunningSite

WORDS = {
    "zh-CN": {
        "check": "查询",
        "first": "与登记一致，首次查询",
        "again": "查另一件产品",
        "record": "过去的一次查询",
    },
    "en": {
        "check": "Check",
        "first": "Matches our record, first check",
        "again": "Check another product",
        "record": "A check made earlier",
    },
}
_RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@asynccontextmanager
async def visiting(
    browser: Browser,
    site: RunningSite,
    *,
    locale: str = "en",
    width: int = 375,
    script: bool = True,
    dark: bool = False,
    **options: Any,
) -> AsyncIterator[Page]:
    """Open a page as a new visitor; an error in a script or a request to another host fails the test."""
    context = await browser.new_context(
        locale=locale,
        viewport={"width": width, "height": 720},
        java_script_enabled=script,
        color_scheme="dark" if dark else "light",
        **options,
    )
    page = await context.new_page()
    try:
        with without_trouble(page, site):
            yield page
    finally:
        await context.close()


@contextmanager
def without_trouble(page: Page, site: RunningSite) -> Iterator[None]:
    """Fail the test if there is an error in a script or a request to another host meanwhile."""
    trouble: list[str] = []

    def broken(error: Error) -> None:
        trouble.append(str(error))

    def said(line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text:
            trouble.append(line.text)

    def asked(request: Request) -> None:
        if not request.url.startswith(site.url):
            trouble.append(request.url)

    page.on("pageerror", broken)
    page.on("console", said)
    page.on("request", asked)
    try:
        yield
    finally:
        page.remove_listener("pageerror", broken)
        page.remove_listener("console", said)
        page.remove_listener("request", asked)
    assert trouble == []


async def ask(page: Page, site: RunningSite, code: str) -> None:
    """Type a code on the check page and press the button."""
    await page.goto(f"{site.url}/")
    await page.fill("#code", code)
    await press_check(page)


async def press_check(page: Page) -> None:
    """Press the button and wait for the page that answers."""
    async with page.expect_navigation():
        await page.click("button.main")


async def headline(page: Page) -> str:
    """Return the page's main heading."""
    return await page.inner_text("h1")


async def violations(page: Page, axe: str) -> list[str]:
    """Return what axe-core finds wrong, one line a finding."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(axe)
    found = await page.evaluate(
        """async (rules) => (await axe.run(document, rules)).violations.flatMap((rule) =>
             rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`))""",
        _RULES,
    )
    return list(found)


async def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(
        await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )


async def small_targets(page: Page) -> list[str]:
    """Return the controls that are smaller than 44 px in a direction."""
    found = await page.evaluate(
        """() => [...document.querySelectorAll("a:not(.skip), button, input:not([type=hidden])")]
             .filter((one) => one.checkVisibility())
             .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
             .filter(([, box]) => box.height < 43.9 || box.width < 43.9)
             .map(([text, box]) => `${text} ${box.width}x${box.height}`)"""
    )
    return list(found)


async def keep_screenshot(page: Page, name: str) -> None:
    """Save what the page looks like, for a person to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
