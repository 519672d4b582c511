"""The demonstration as a newcomer meets it: one command, a table of codes, a verdict in the browser, kept on disk."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page

from tests.acceptance.browser.running_site import ROOT
from tests.acceptance.browser.visitors import headline, press_check
from tests.fakes.ports import free_port

_LINE = re.compile(r"^((?:\d{4} ){3,5}\d{4})\s+(\w+)\s")
_STARTS_WITHIN_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A demonstration that serves: its address and its sample codes by outcome."""

    url: str
    codes: dict[str, str]


@asynccontextmanager
async def demonstration(folder: Path) -> AsyncIterator[Demonstration]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "--data-dir", str(folder), "demo", "--port", str(port),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    codes: dict[str, str] = {}
    try:
        async with asyncio.timeout(_STARTS_WITHIN_S):
            async for raw in process.stdout:
                line = raw.decode()
                if found := _LINE.match(line):
                    codes.setdefault(found[2], found[1].replace(" ", ""))
                if line.startswith("Serving on"):
                    break
        yield Demonstration(url=f"http://127.0.0.1:{port}", codes=codes)
    finally:
        if process.returncode is None:
            process.terminate()
        rest, _ = await process.communicate()
        log = rest.decode()
        assert not any(code in log for code in codes.values()), "a code stands in the log in clear"


async def verdict_on(page: Page, url: str, code: str) -> str:
    await page.goto(f"{url}/q/{code}")
    await press_check(page)
    return await headline(page)


async def test_from_the_command_to_the_verdict_and_over_a_restart(browser: Browser, tmp_path: Path) -> None:
    expected = {
        "first": "Matches our record, first check",
        "not_active": "Label not yet activated",
        "recalled": "Product recalled, do not use",
        "voided": "Label withdrawn, do not use",
        "expired": "Checking has ended",
        "not_found": "Not in our record",
    }
    context = await browser.new_context(locale="en")
    page = await context.new_page()
    async with demonstration(tmp_path) as demo:
        for outcome, heading in expected.items():
            assert await verdict_on(page, demo.url, demo.codes[outcome]) == heading
        code = demo.codes["first"]
    stranger = await (await browser.new_context(locale="en")).new_page()
    async with demonstration(tmp_path) as demo:
        assert demo.codes.get("repeat") == code, "the table tells the codes' outcomes as they are now"
        assert await verdict_on(page, demo.url, code) == "Matches our record, first check"
        assert "a moment ago" in await page.inner_text("p.lead")
        assert await verdict_on(stranger, demo.url, code) == "This code was checked before"
    await stranger.context.close()
    await context.close()
