"""One real Chromium for all browser tests of a worker; each test has its own site and its own visitor."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.acceptance.browser.running_site import ROOT, RunningSite, running_site

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = ROOT / "screenshots"
LAUNCH = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
expect.set_options(timeout=60_000)  # its own five seconds are few on a machine with much to do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith("tests/acceptance/browser/"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=LAUNCH)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[RunningSite]:
    async with running_site() as site:
        yield site


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker's source; without it the tests fail and say what to do."""
    if not AXE.is_file():
        pytest.fail("axe-core is not installed: install Node and npm, then run `make clean setup`")
    return AXE.read_text(encoding="utf-8")
