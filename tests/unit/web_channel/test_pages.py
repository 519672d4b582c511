"""The website's own rules: who sees a result, what a page sets, what counts as scanned."""

from __future__ import annotations

import gzip
import re
import tomllib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import channels.web as web_package
from app.core.model.code import Entry
from app.core.model.verdict import Outcome
from channels.base import InboundRequest, OutboundResponse
from channels.turns import CodeSubmitted
from channels.web.looks import LOOKS
from channels.web.pages import WebAdapter
from channels.wording.locales import LOCALES
from channels.wording.variants import Variant
from tests.fakes.sample_service import PUBLIC_URL, SampleService, start_sample_service

FOLDER = Path(web_package.__file__).parent
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Visitor:
    """A browser's memory: cookies and the form of the last page."""

    def __init__(self, service: SampleService, adapter: WebAdapter) -> None:
        self.service = service
        self.adapter = adapter
        self.cookies: dict[str, str] = {}
        self.fields: dict[str, str] = {}
        self.language = "en"

    def headers(self) -> dict[str, str]:
        headers = {"accept-language": self.language, "host": "verify.example"}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return headers

    async def carry(self, request: InboundRequest) -> OutboundResponse:
        answer = await self.service.pipeline.carry(self.adapter, request)
        for name, value in answer.headers:
            if name == "Set-Cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        page = answer.body.decode()
        self.fields.update(re.findall(r'name="(nonce|lang|entry|scanned)" value="([^"]*)"', page))
        return answer

    async def open(self, path: str, route: str | None = None, **parts: str) -> OutboundResponse:
        location, _, query = path.partition("?")
        return await self.carry(
            InboundRequest(
                method="GET",
                route=route or location,
                path=location,
                parts=parts,
                query=dict(pair.split("=") for pair in query.split("&")) if query else {},
                headers=self.headers(),
                remote="192.0.2.7",
                received_at=self.service.clock.now(),
            )
        )

    async def ask(self, code: str, **changed: str) -> OutboundResponse:
        return await self.carry(self.form(code, **changed))

    def form(self, code: str, **changed: str) -> InboundRequest:
        fields = {**self.fields, "code": code, **changed}
        return InboundRequest(
            method="POST",
            route="/verify",
            path="/verify",
            headers={**self.headers(), **FORM},
            body=urlencode(fields).encode(),
            remote="192.0.2.7",
            received_at=self.service.clock.now(),
        )

    async def read(self, answer: OutboundResponse, **changed: str) -> OutboundResponse:
        place = dict(answer.headers)["Location"]
        return await self.open(place, "/r/{result}", result=place.removeprefix("/r/"))


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


@pytest.fixture
def adapter(service: SampleService) -> WebAdapter:
    return WebAdapter(service.context)


@pytest.fixture
def visitor(service: SampleService, adapter: WebAdapter) -> Visitor:
    return Visitor(service, adapter)


def headline(answer: OutboundResponse) -> str:
    return re.findall(r"<h1[^>]*>(.*?)</h1>", answer.body.decode())[0]


def cookies_of(answer: OutboundResponse) -> list[str]:
    return [value for name, value in answer.headers if name == "Set-Cookie"]


async def test_the_whole_way_without_a_script(visitor: Visitor, service: SampleService) -> None:
    page = await visitor.open("/")
    assert page.status == 200
    answer = await visitor.ask(service.code())
    assert answer.status == 303
    assert answer.body == b""
    result = await visitor.read(answer)
    assert result.status == 200
    assert headline(result) == "Matches our record, first check"
    assert 'role="status"' in result.body.decode()
    assert 'href="tel:4008001234"' in result.body.decode()
    again = await visitor.read(answer)
    assert again.body == result.body
    assert len(service.store.facts) == 1


async def test_the_result_is_green_for_ten_minutes_and_only_for_who_asked(
    visitor: Visitor, service: SampleService, adapter: WebAdapter
) -> None:
    await visitor.open("/")
    answer = await visitor.ask(service.code())
    stranger = Visitor(service, adapter)
    grey = await stranger.read(answer)
    assert headline(grey) == "A check made earlier"
    assert "not of the pack in your hand" in grey.body.decode()
    assert "tone-green" not in grey.body.decode()
    service.clock.advance(timedelta(minutes=10).total_seconds())
    assert "tone-green" in (await visitor.read(answer)).body.decode()
    service.clock.advance(1)
    late = await visitor.read(answer)
    assert headline(late) == "A check made earlier"
    assert "Coast infant formula 800 g" in late.body.decode()
    assert "5 March 2026 at 09:12" in late.body.decode()


async def test_a_record_has_no_page_after_24_months(visitor: Visitor, service: SampleService) -> None:
    await visitor.open("/")
    answer = await visitor.ask(service.code())
    service.clock.advance(timedelta(days=730).total_seconds())
    assert (await visitor.read(answer)).status == 200
    service.clock.advance(1)
    gone = await visitor.read(answer)
    assert gone.status == 404
    assert headline(gone) == "There is no such page"
    assert len(service.store.facts) == 1


async def test_reading_never_counts(visitor: Visitor, service: SampleService) -> None:
    code = service.code()
    filled = await visitor.open(f"/q/{code}", "/q/{digits}", digits=code)
    linked = await visitor.open(
        f"/01/06901234567892/21/{code}", "/01/{gtin}/21/{digits}", gtin="06901234567892", digits=code
    )
    for page in (filled, linked):
        assert f'value="{code[:4]} {code[4:8]}' in page.body.decode()
        assert 'name="entry" value="scanned"' in page.body.decode()
    assert service.store.facts == []


@pytest.mark.parametrize(
    "gtin", ["06901234567891", "0690123456789", "x", "", "６９０１２３４５６７８９２", "0" * 15]
)
async def test_a_damaged_digital_link_is_refused(visitor: Visitor, service: SampleService, gtin: str) -> None:
    answer = await visitor.open("/01/x/21/y", "/01/{gtin}/21/{digits}", gtin=gtin, digits=service.code())
    assert answer.status == 400
    assert headline(answer) == "This link is damaged"


async def test_a_serial_of_a_digital_link_is_at_most_twenty_characters(visitor: Visitor) -> None:
    answer = await visitor.open("/01/", "/01/{gtin}/21/{digits}", gtin="06901234567892", digits="1" * 21)
    assert answer.status == 400


@pytest.mark.parametrize("digits", ["", "abc", "12", "1" * 5000, "<b>", "%00"])
async def test_any_address_opens_the_form(visitor: Visitor, digits: str) -> None:
    page = await visitor.open("/q/x", "/q/{digits}", digits=digits)
    assert page.status == 200
    assert 'name="entry" value="typed"' in page.body.decode()
    assert "<b>" not in page.body.decode()


async def test_a_code_is_scanned_only_while_it_is_unchanged(
    visitor: Visitor, service: SampleService, adapter: WebAdapter
) -> None:
    code, other = service.code(), service.code(number=1)
    await visitor.open("/q/x", "/q/{digits}", digits=code)

    def entry_of(text: str, **changed: str) -> Entry:
        turn = adapter.decode(visitor.form(text, **changed))
        assert isinstance(turn, CodeSubmitted)
        return turn.request.code.entry

    assert entry_of(f"{code[:4]} {code[4:]}") is Entry.SCANNED
    assert entry_of(other) is Entry.TYPED
    assert entry_of(code, entry="typed") is Entry.TYPED
    assert entry_of("", scanned="") is Entry.TYPED


async def test_a_slip_keeps_the_digits_and_shows_the_place_but_not_the_digit(
    visitor: Visitor, service: SampleService
) -> None:
    await visitor.open("/")
    code = service.code()
    wrong = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    answer = await visitor.ask(wrong)
    page = answer.body.decode()
    assert answer.status == 200
    assert "Please look at the 7th digit again." in page
    assert f"<mark>{wrong[6]}</mark>" in page
    assert code not in page.replace(" ", "")
    assert f'value="{wrong[:4]} {wrong[4:8]} ' in page
    assert 'aria-invalid="true"' in page
    assert service.store.facts == []


async def test_the_nonce_stays_while_nothing_was_recorded(visitor: Visitor, service: SampleService) -> None:
    await visitor.open("/")
    nonce = visitor.fields["nonce"]
    service.store.down = True
    answer = await visitor.ask(service.code())
    assert answer.status == 503
    assert dict(answer.headers)["Retry-After"] == "5"
    assert visitor.fields["nonce"] == nonce
    service.store.down = False
    assert (await visitor.ask(service.code())).status == 303


async def test_an_unlocated_slip_sent_again_alike_is_not_in_the_record(
    visitor: Visitor, service: SampleService, adapter: WebAdapter
) -> None:
    code = service.unknown_code()
    wrong = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    await visitor.open("/")
    request = visitor.form(wrong)
    first = await visitor.carry(request)
    assert first.status == 200
    assert (await service.pipeline.carry(adapter, request)).body == first.body  # a retry of the very message
    answer = await visitor.ask(wrong)  # the visitor looked at the label again
    assert answer.status == 303
    assert service.store.facts[-1].verification.outcome is Outcome.NOT_FOUND
    assert await visitor.carry(visitor.form(wrong)) == answer


async def test_a_page_left_open_asks_about_each_code_once(visitor: Visitor, service: SampleService) -> None:
    await visitor.open("/")
    first = await visitor.ask(service.code())
    back = await visitor.ask(service.code())
    other = await visitor.ask(service.code(number=1))
    assert first == back
    assert other != first
    assert len(service.store.facts) == 2


async def test_a_form_without_a_nonce_is_answered(visitor: Visitor, service: SampleService) -> None:
    for ordinal in (1, 2):
        answer = await visitor.ask(service.code())
        assert answer.status == 303
        assert service.store.facts[-1].verification.ordinal == ordinal
    assert headline(await visitor.read(answer)) == "Matches our record, first check"
    assert "a moment ago" in (await visitor.read(answer)).body.decode()


async def test_without_cookies_the_same_message_is_still_one_caller(
    service: SampleService, adapter: WebAdapter
) -> None:
    visitor = Visitor(service, adapter)
    await visitor.open("/")
    visitor.cookies.clear()
    request = visitor.form(service.code())
    first, second = [await service.pipeline.carry(adapter, request) for _ in range(2)]
    assert first == second
    assert cookies_of(first)


async def test_the_callers_cookie(visitor: Visitor, service: SampleService) -> None:
    first = await visitor.open("/")
    (cookie,) = cookies_of(first)
    assert re.fullmatch(
        r"__Host-yz_caller=[\w-]{22}; Path=/; Max-Age=63072000; HttpOnly; SameSite=Lax; Secure", cookie
    )
    assert cookies_of(await visitor.open("/")) == []
    assert cookies_of(await visitor.ask(service.code())) == []
    visitor.cookies["__Host-yz_caller"] = "planted"
    assert len(cookies_of(await visitor.open("/"))) == 1


async def test_over_plain_http_the_cookie_is_not_marked_secure() -> None:
    service = await start_sample_service(public_url="http://127.0.0.1:8315")
    page = await Visitor(service, WebAdapter(service.context)).open("/")
    assert cookies_of(page)[0].startswith("yz_caller=")
    assert "Secure" not in cookies_of(page)[0]
    await service.engine.close()


async def test_the_language_is_switched_and_kept(visitor: Visitor) -> None:
    visitor.language = "fr, zh;q=0.8, en;q=0.5"
    assert '<html lang="zh-CN">' in (await visitor.open("/")).body.decode()
    switched = await visitor.open("/?lang=en")
    assert '<html lang="en">' in switched.body.decode()
    assert cookies_of(switched) == ["__Host-yz_lang=en; Path=/; Max-Age=63072000; SameSite=Lax; Secure"]
    assert '<html lang="en">' in (await visitor.open("/")).body.decode()
    assert cookies_of(await visitor.open("/?lang=xx")) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": PUBLIC_URL}, 303),
        ({"origin": "http://verify.example"}, 303),
        ({"origin": "http://192.168.1.5:8315", "host": "192.168.1.5:8315"}, 303),
        ({"origin": "http://127.0.0.1:8315", "host": "127.0.0.1:8315", "sec-fetch-site": "same-origin"}, 303),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": "null"}, 303),
        ({"origin": "null", "cookie": ""}, 403),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, 403),
        ({"origin": "https://verify.example:444"}, 403),
        ({"origin": "https://verify.example.evil.example"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": PUBLIC_URL}, 403),
    ],
)
async def test_whose_page_may_ask(
    visitor: Visitor, service: SampleService, headers: dict[str, str], status: int
) -> None:
    await visitor.open("/")
    request = visitor.form(service.code())
    request = InboundRequest(
        method="POST",
        route=request.route,
        path=request.path,
        headers={**request.headers, **headers},
        body=request.body,
        remote="192.0.2.7",
        received_at=request.received_at,
    )
    assert (await visitor.carry(request)).status == status


async def test_an_unknown_record_is_a_page_too(visitor: Visitor) -> None:
    for result in ("x" * 22, "", "../..", "é" * 22):
        answer = await visitor.open("/r/x", "/r/{result}", result=result)
        assert answer.status == 404
        assert headline(answer) == "There is no such page"


async def test_a_record_that_cannot_be_read_now_is_no_missing_page(
    visitor: Visitor, service: SampleService
) -> None:
    await visitor.open("/")
    answer = await visitor.ask(service.code())
    service.store.down = True
    page = await visitor.read(answer)
    assert page.status == 503
    assert dict(page.headers)["Retry-After"] == "5"
    assert "says nothing about the product" in page.body.decode()


async def test_every_dynamic_answer_forbids_storing(visitor: Visitor, service: SampleService) -> None:
    pages = [await visitor.open("/"), await visitor.ask("1"), await visitor.ask(service.code())]
    pages.append(await visitor.read(pages[-1]))
    pages.append(await visitor.open("/r/x", "/r/{result}", result="x"))
    for page in pages:
        assert dict(page.headers)["Cache-Control"] == "no-store"


async def test_the_first_response_fits_in_14_kilobytes(visitor: Visitor, service: SampleService) -> None:
    pages = [await visitor.open("/"), await visitor.open("/q/x", "/q/{digits}", digits=service.code())]
    files = ("page.css", "page.js", "icon.svg")
    needed = sum(len(gzip.compress((FOLDER / "static" / name).read_bytes(), mtime=0)) for name in files)
    for page in pages:
        assert len(gzip.compress(page.body, mtime=0)) + needed < 14 * 1024
        for address in re.findall(r'(?:src|href|action|data-\w+)="([^"]*)"', page.body.decode()):
            assert "//" not in address, "nothing is asked of a third party"


def test_every_wording_has_a_look_of_its_own() -> None:
    assert LOOKS.keys() == set(Variant)
    icons = {variant: look.icon for variant, look in LOOKS.items() if not variant.startswith("mistyped")}
    icons.pop(Variant.REPEAT_OWN_MOMENT)
    icons.pop(Variant.REPEAT_OWN_BEFORE)
    icons.pop(Variant.OVER_LIMIT_OWN_BEFORE)
    assert len(set(icons.values())) == len(icons)


def test_both_locales_have_the_same_words() -> None:
    books = [
        tomllib.loads((FOLDER / "words" / f"{locale}.toml").read_text(encoding="utf-8")) for locale in LOCALES
    ]
    shapes = [_shape(book) for book in books]
    assert shapes[0] == shapes[1]


def _shape(words: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _shape(value) if isinstance(value, dict) else sorted(re.findall(r"\{\w+\}", value))
        for name, value in words.items()
    }
