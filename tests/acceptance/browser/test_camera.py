"""The camera in real Chromium: a film of a label's QR code fills in the field; asking takes one more press."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.acceptance.browser.camera import write_film
from tests.acceptance.browser.conftest import LAUNCH, ROOT
from tests.acceptance.browser.running_site import RunningSite
from tests.acceptance.browser.visitors import (
    WORDS,
    headline,
    keep_screenshot,
    press_check,
    violations,
    visiting,
)

READER = ROOT / "app" / "web" / "static" / "vendor" / "zxing-reader.js"


@pytest.fixture(autouse=True)
def reader_is_installed() -> None:
    if not READER.is_file():
        pytest.fail("the QR reader is not installed: install Node and npm, then run `make clean setup`")


@asynccontextmanager
async def camera_browser(chromium: str, film: Path | None) -> AsyncIterator[Browser]:
    fake = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}"] if film else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=[*LAUNCH, "--use-fake-ui-for-media-stream", *fake]
        )
        yield browser
        await browser.close()


@pytest.mark.parametrize(
    "address",
    ["https://verify.example/q/{code}", "https://id.example/01/06901234567892/21/{code}", "{code}"],
    ids=["link", "digital-link", "digits"],
)
async def test_a_scanned_label_is_asked_with_one_press(
    chromium: str, site: RunningSite, tmp_path: Path, address: str
) -> None:
    code = site.service.code()
    film = tmp_path / "label.y4m"
    write_film(film, address.format(code=code))
    async with (
        camera_browser(chromium, film) as browser,
        visiting(browser, site, permissions=["camera"]) as page,
    ):
        await page.goto(f"{site.url}/")
        await page.click("#scan")
        await expect(page.locator("#scan-status")).to_have_text("The digits have been read. Press Check.")
        assert (await page.input_value("#code")).replace(" ", "") == code
        assert await page.input_value("input[name=entry]") == "scanned"
        assert await page.evaluate("document.activeElement.className") == "main"
        assert await page.locator("video").count() == 0
        await keep_screenshot(page, "camera-read")
        assert site.recorded() == 0
        await press_check(page)
        assert await headline(page) == WORDS["en"]["first"]
        request, _, _ = site.service.journal.answers[0]
        assert request.code.entry == "scanned"


async def test_another_qr_code_is_told_apart_and_the_camera_closes(
    chromium: str, site: RunningSite, tmp_path: Path
) -> None:
    film = tmp_path / "menu.y4m"
    write_film(film, "https://restaurant.example/menu")
    async with (
        camera_browser(chromium, film) as browser,
        visiting(browser, site, permissions=["camera"]) as page,
    ):
        await page.goto(f"{site.url}/")
        await page.click("#scan")
        await expect(page.locator("#scan-status")).to_contain_text("not a QR code")
        await keep_screenshot(page, "camera-open")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("video", state="detached")
        assert await page.locator("#scan").is_visible()
        assert await page.evaluate("document.activeElement.id") == "scan"
        assert await page.input_value("#code") == ""


async def test_a_refused_camera_leaves_the_field(browser: Browser, site: RunningSite, axe: str) -> None:
    async with visiting(browser, site, bypass_csp=True) as page:
        await page.goto(f"{site.url}/")
        await page.click("#scan")
        await expect(page.locator("#scan-status")).to_contain_text("type the digits")
        assert await page.locator("#scan").is_visible()
        assert await violations(page, axe) == []


async def test_without_the_reader_or_a_script_there_is_no_button(browser: Browser, site: RunningSite) -> None:
    async with visiting(browser, site, script=False) as page:
        await page.goto(f"{site.url}/")
        assert not await page.locator("#scan").is_visible()
    async with visiting(browser, site) as page:
        await page.route("**/vendor/**", lambda route: route.fulfill(status=404))
        async with page.expect_response("**/vendor/zxing-reader.js"):
            await page.goto(f"{site.url}/")
        assert not await page.locator("#scan").is_visible()
