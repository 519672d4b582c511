"""Signatures for pages opened inside WeChat, and the files by which the platform knows the domain as ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.abilities import ErrandFailed
from channels.base import InboundRequest, OutboundResponse, Refusal, RefusalKind
from channels.wechat.adapters import make_adapters
from channels.wechat.page import JS_SDK, PageAdapter, PageSigner
from channels.wechat.settings import Account, AccountKind, WechatSettings
from tests.fakes.clock import START
from tests.fakes.open_throttle import OpenThrottle
from tests.fakes.sample_service import PUBLIC_URL, SampleService, start_sample_service

TICKET = "ticket-of-the-platform"
FILES = {"MP_verify_4Xv1.txt": "4Xv1aB", "a1b2c3.txt": "验"}


class FakeTickets:
    """Lends one ticket, or fails."""

    def __init__(self, ticket: str | ErrandFailed = TICKET) -> None:
        self.ticket = ticket

    async def jsapi_ticket(self) -> str | ErrandFailed:
        return self.ticket


def page_adapter(ticket: str | ErrandFailed = TICKET, public_url: str = PUBLIC_URL) -> PageAdapter:
    signer = PageSigner(account="official-account", app_id="wx5823bf96d3bd56c7", tickets=FakeTickets(ticket))
    return PageAdapter(public_url=public_url, signer=signer, domain_files=FILES)


def signature_asked(url: str | None) -> InboundRequest:
    query = {} if url is None else {"url": url}
    return InboundRequest(
        method="GET", route=JS_SDK.path, path=JS_SDK.path, query=query, remote="192.0.2.7", received_at=START
    )


def file_asked(path: str) -> InboundRequest:
    return InboundRequest(method="GET", route=path, path=path, remote="192.0.2.7", received_at=START)


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


@pytest.mark.parametrize(
    "url", [f"{PUBLIC_URL}/", PUBLIC_URL, f"{PUBLIC_URL}/q/123?from=timeline&x=1+2%20", f"{PUBLIC_URL}/é 验"]
)
async def test_a_page_of_ours_is_signed_as_the_platform_checks_it(service: SampleService, url: str) -> None:
    answer = await service.pipeline.carry(page_adapter(), signature_asked(f"{url}#camera"))
    signed = json.loads(answer.body)
    text = f"jsapi_ticket={TICKET}&noncestr={signed['nonceStr']}&timestamp={signed['timestamp']}&url={url}"
    assert signed == {
        "appId": "wx5823bf96d3bd56c7",
        "timestamp": int(START.timestamp()),
        "nonceStr": signed["nonceStr"],
        "signature": hashlib.sha1(text.encode()).hexdigest(),
    }
    assert len(signed["nonceStr"]) == 16
    assert signed["nonceStr"].isalnum()
    assert answer.content_type == "application/json"
    assert dict(answer.headers)["Cache-Control"] == "no-store"
    assert TICKET not in answer.body.decode()


async def test_equal_requests_get_equal_bytes_and_other_pages_other_nonces(service: SampleService) -> None:
    adapter = page_adapter()

    async def signed(url: str) -> OutboundResponse:
        return await service.pipeline.carry(adapter, signature_asked(url))

    assert await signed(PUBLIC_URL) == await signed(PUBLIC_URL)
    nonces = {json.loads((await signed(f"{PUBLIC_URL}/q/{n}")).body)["nonceStr"] for n in range(20)}
    assert len(nonces) == 20


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "/q/123",
        "https://verify.example.elsewhere.example/",
        "https://verify.example@elsewhere.example/",
        "https://elsewhere.example/?u=https://verify.example/",
        "http://verify.example/",
        "https://verify.example:444/",
        "//verify.example/",
        "https://[broken/",
        "javascript:alert(1)",
        f"{PUBLIC_URL}/{'x' * 2048}",
    ],
)
async def test_no_other_sites_page_is_signed(service: SampleService, url: str | None) -> None:
    answer = await service.pipeline.carry(page_adapter(), signature_asked(url))
    assert answer.status == 400
    assert answer.content_type == "application/problem+json"
    assert json.loads(answer.body)["code"] == "foreign_page"


async def test_a_platform_that_lends_no_ticket_is_asked_again_later(service: SampleService) -> None:
    adapter = page_adapter(ErrandFailed(why="setup_wrong"))
    answer = await service.pipeline.carry(adapter, signature_asked(PUBLIC_URL))
    assert answer.status == 503
    assert dict(answer.headers)["Retry-After"] == "5"
    assert ("js_sdk_setup_wrong", "wechat") in service.journal.counts


async def test_opening_a_page_spends_nobodys_queries() -> None:
    throttle = OpenThrottle()
    service = await start_sample_service(throttle=throttle)
    await service.pipeline.carry(page_adapter(), signature_asked(PUBLIC_URL))
    assert throttle.asked == [()]
    await service.engine.close()


async def test_the_files_are_shown_exactly_and_no_others(service: SampleService) -> None:
    adapter = page_adapter()
    assert [route.path for route in adapter.routes()] == [
        "/channels/wechat/js-sdk",
        "/MP_verify_4Xv1.txt",
        "/a1b2c3.txt",
    ]
    for name, content in FILES.items():
        answer = await service.pipeline.carry(adapter, file_asked(f"/{name}"))
        assert (answer.status, answer.content_type) == (200, "text/plain")
        assert answer.body.decode() == content


def test_refusals_are_problem_documents() -> None:
    answer = page_adapter().refuse(Refusal(kind=RefusalKind.NOT_ALLOWED))
    assert answer.status == 405
    assert answer.content_type == "application/problem+json"


def test_what_the_adapter_is_made_of() -> None:
    assert TICKET not in repr(PageSigner(account="a", app_id="b", tickets=FakeTickets()))
    only_files = PageAdapter(public_url=PUBLIC_URL, domain_files=FILES)
    assert JS_SDK not in only_files.routes()


async def test_it_is_there_when_it_is_set_up(service: SampleService) -> None:
    account = Account(
        name="official-account",
        kind=AccountKind.OFFICIAL_ACCOUNT,
        tokens=("token",),
        app_id="wx5823bf96d3bd56c7",
        app_secret="secret",
        aes_keys=("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",),
    )

    def addresses(settings: WechatSettings) -> set[str]:
        made = make_adapters(replace(service.context, settings={"wechat": settings}))
        return {route.path for adapter in made for route in adapter.routes()}

    assert JS_SDK.path not in addresses(WechatSettings(accounts=(account,)))
    assert JS_SDK.path in addresses(WechatSettings(accounts=(account,), js_sdk=account.name))
    assert addresses(WechatSettings(domain_files=FILES)) == {f"/{name}" for name in FILES}
    assert addresses(WechatSettings()) == set()
