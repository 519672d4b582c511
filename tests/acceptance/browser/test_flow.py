"""The whole way of a shopper in real Chromium: with and without scripts, in both languages, narrow and wide."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser

from tests.acceptance.browser.running_site import RunningSite
from tests.acceptance.browser.visitors import WORDS, ask, headline, press_check, visiting


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
async def test_the_whole_way(
    browser: Browser, site: RunningSite, locale: str, script: bool, width: int
) -> None:
    words, code = WORDS[locale], site.service.code()
    async with visiting(browser, site, locale=locale, width=width, script=script) as page:
        await page.goto(f"{site.url}/q/{code}")
        assert site.recorded() == 0
        assert (await page.input_value("#code")).replace(" ", "") == code
        assert await page.inner_text("button.main") == words["check"]
        await press_check(page)
        assert page.url.startswith(f"{site.url}/r/")
        assert (await headline(page)).replace("\n", "") == words["first"]
        assert await page.locator("html").get_attribute("lang") == locale
        assert await page.locator("[role=status] h1").count() == 1
        assert await page.locator("a.call").get_attribute("href") == "tel:4008001234"
        await page.reload()
        assert (await headline(page)).replace("\n", "") == words["first"]
        await page.click("a.again")
        assert await page.input_value("#code") == ""
        assert site.recorded() == 1


async def test_a_stranger_with_the_address_sees_a_grey_record(browser: Browser, site: RunningSite) -> None:
    async with visiting(browser, site) as page:
        await ask(page, site, site.service.code())
        address = page.url
    async with visiting(browser, site) as page:
        await page.goto(address)
        assert await headline(page) == WORDS["en"]["record"]
        assert await page.locator(".tone-green").count() == 0
        await ask(page, site, site.service.code())
        assert await headline(page) == "This code was checked before"


async def test_later_the_result_is_a_grey_record(browser: Browser, site: RunningSite) -> None:
    async with visiting(browser, site) as page:
        await ask(page, site, site.service.code())
        assert await headline(page) == WORDS["en"]["first"]
        site.service.clock.advance(601)
        await page.reload()
        assert await headline(page) == WORDS["en"]["record"]


async def test_back_reload_and_again_are_one_verification(browser: Browser, site: RunningSite) -> None:
    code = site.service.code()
    async with visiting(browser, site) as page:
        await page.goto(f"{site.url}/q/{code}")
        await press_check(page)
        await page.go_back()
        await page.go_forward()
        await page.reload()
        assert await headline(page) == WORDS["en"]["first"]
        assert site.recorded() == 1


@pytest.mark.parametrize("script", [True, False], ids=["script", "plain"])
async def test_a_double_click_is_one_verification(browser: Browser, site: RunningSite, script: bool) -> None:
    async with visiting(browser, site, script=script) as page:
        await page.goto(f"{site.url}/q/{site.service.code()}")
        site.service.store.hold()
        await page.dblclick("button.main", no_wait_after=True)
        asyncio.get_running_loop().call_later(0.2, site.service.store.release)
        await page.wait_for_url("**/r/*")
        assert await headline(page) == WORDS["en"]["first"]
        assert site.recorded() == 1


async def test_a_slip_is_pointed_at_and_corrected(browser: Browser, site: RunningSite) -> None:
    code = site.service.code()
    wrong = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    async with visiting(browser, site) as page:
        await ask(page, site, wrong)
        assert await headline(page) == "Please look at one digit"
        assert await page.inner_text("mark") == wrong[6]
        assert (await page.input_value("#code")).replace(" ", "") == wrong
        await page.fill("#code", code)
        await press_check(page)
        assert await headline(page) == WORDS["en"]["first"]
        assert site.recorded() == 1


async def test_after_trouble_one_press_asks_again(browser: Browser, site: RunningSite) -> None:
    async with visiting(browser, site) as page:
        site.service.store.down = True
        await ask(page, site, site.service.code())
        assert await headline(page) == "No answer just now"
        site.service.store.down = False
        await press_check(page)
        assert await headline(page) == WORDS["en"]["first"]


async def test_the_language_is_switched_on_every_page(browser: Browser, site: RunningSite) -> None:
    async with visiting(browser, site, locale="zh-CN") as page:
        await ask(page, site, site.service.code())
        await page.click("a.lang")
        assert await headline(page) == WORDS["en"]["first"]
        await page.click("a.again")
        assert await page.inner_text("button.main") == WORDS["en"]["check"]
        assert site.recorded() == 1


async def test_the_keyboard_alone_is_enough(browser: Browser, site: RunningSite) -> None:
    async with visiting(browser, site) as page:
        await page.goto(f"{site.url}/")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.id") == "code"
        await page.keyboard.type(site.service.code())
        async with page.expect_navigation(url="**/r/*"):
            await page.keyboard.press("Enter")
        assert await headline(page) == WORDS["en"]["first"]
        seen = []
        for _ in range(6):
            await page.keyboard.press("Tab")
            seen.append(await page.evaluate("document.activeElement.className"))
        assert any("call" in name for name in seen)
        assert any("again" in name for name in seen)


async def test_digits_are_grouped_as_they_are_typed(browser: Browser, site: RunningSite) -> None:
    async with visiting(browser, site) as page:
        await page.goto(f"{site.url}/")
        field = page.locator("#code")
        await field.press_sequentially("1234567890")
        assert await field.input_value() == "1234 5678 90"
        for _ in range(4):
            await field.press("ArrowLeft")
        await field.press("9")
        assert await field.input_value() == "1234 5679 890"
        assert await page.evaluate("document.getElementById('code').selectionStart") == 9
        await field.fill("")
        await field.press_sequentially("12345")
        await field.press("Backspace")
        await field.press("Backspace")
        assert await field.input_value() == "123"
        await field.fill("１２３４５６７８")
        assert await field.input_value() == "1234 5678"


async def test_a_pasted_message_is_read_by_the_server(browser: Browser, site: RunningSite) -> None:
    code = site.service.code()
    async with visiting(browser, site) as page:
        await page.goto(f"{site.url}/")
        text = f"Your code: {code[:10]}-{code[10:]}, call 4008001234"
        await page.fill("#code", text)
        assert await page.input_value("#code") == text
        await press_check(page)
        assert await headline(page) == WORDS["en"]["first"]


async def test_a_page_of_another_site_cannot_ask(browser: Browser, site: RunningSite) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    # Another origin of the same machine: only the name differs.
    foreign = site.url.replace("127.0.0.1", "localhost")
    await page.route(
        f"{foreign}/**", lambda route: route.fulfill(body=_foreign_form(site), content_type="text/html")
    )
    await page.goto(f"{foreign}/")
    async with page.expect_navigation():
        await page.click("button")
    assert await page.inner_text("h1")
    assert site.recorded() == 0
    assert site.service.journal.refusals == [("web", "not_authentic")]
    await context.close()


def _foreign_form(site: RunningSite) -> str:
    return (
        f'<form method="post" action="{site.url}/verify">'
        f'<input name="code" value="{site.service.code()}"><button>Win</button></form>'
    )
