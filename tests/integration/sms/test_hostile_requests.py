"""Strangers and broken providers over HTTP: nothing forged is counted, nothing odd breaks, nothing is told twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from app.adapters.clock import SystemClock
from app.adapters.places import PhoneNumberPlaces
from channels.registry import load_channels
from channels.sms.settings import GatewayOptions, KannelOptions, SmsSettings, TwilioOptions
from channels.sms.twilio.simulate import new_message_sid, signed_webhook
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.integration.server.running import Running, running

PUBLIC_URL = "https://verify.example"
KANNEL_SECRET = "kannel-secret-of-hostile-requests"
GATEWAY_SECRET = "gateway-secret-of-hostile-requests"
TWILIO = TwilioOptions(auth_tokens=("token-of-hostile-requests",))
SETTINGS = SmsSettings(
    twilio=TWILIO,
    kannel=KannelOptions(secrets=(KANNEL_SECRET,), send_url="http://127.0.0.1:1/sendsms"),
    gateway=GatewayOptions(
        files=("alibaba", "tencent", "baidu"), secrets=(GATEWAY_SECRET,), reply_by="kannel"
    ),
)
KANNEL = f"/channels/sms/kannel/{KANNEL_SECRET}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    server: Running
    service: SampleService

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: verify.example", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
        if method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        raw = await self.server.raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        head, _, content = raw.partition(b"\r\n\r\n")
        return Answer(status=int(head.split()[1]), body=content.decode())

    async def kannel(self, text: str, *, sender: str = "%2B8613800138000", number: str = "1") -> Answer:
        """``text`` and ``sender`` stand in the query as they are."""
        time = "2026-03-05+08:00:00"
        return await self.ask("GET", f"{KANNEL}?from={sender}&to=95001&id={number}&ts={time}&text={text}")

    async def twilio(
        self, text: str, *, path: str = "/channels/sms/twilio", more: bytes = b"", sid: str = ""
    ) -> Answer:
        _, headers, body = signed_webhook(
            TWILIO,
            PUBLIC_URL,
            sender="+8613800138001",
            ours="+15005550006",
            text=text,
            message_sid=sid or new_message_sid(),
        )
        return await self.ask("POST", path, body + more, **headers)

    async def gateway(self, name: str, body: bytes) -> Answer:
        path = f"/channels/sms/gateway/{name}/{GATEWAY_SECRET}"
        return await self.ask("POST", path, body, Content_Type="application/json")

    @property
    def counted(self) -> int:
        return len(self.service.store.facts)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    service = await start_sample_service(settings={"sms": SETTINGS}, public_url=PUBLIC_URL)
    context = replace(service.context, places=PhoneNumberPlaces())
    adapters = load_channels(["sms"], context)
    async with running(adapters, service.pipeline, service.journal) as server:
        yield Site(server=server, service=service)
    await service.engine.close()


@pytest.mark.parametrize(
    "path",
    [
        f"//channels/sms/kannel/{KANNEL_SECRET}",
        f"/channels//sms/kannel/{KANNEL_SECRET}",
        f"/channels/sms/kannel/{KANNEL_SECRET}/",
        f"/channels/sms%2fkannel/{KANNEL_SECRET}",
        f"/channels/sms/kannel/x/../{KANNEL_SECRET}",
        f"/channels/sms/kannel/..;/{KANNEL_SECRET}",
        f"/channels/sms/Kannel/{KANNEL_SECRET}",
        f"/channels/sms/kannel/{KANNEL_SECRET.upper()}",
        f"/channels/sms/kannel/{KANNEL_SECRET};x",
        f"/channels/sms/kannel/{KANNEL_SECRET}%00",
        f"/channels/sms/kannel/{KANNEL_SECRET[:-1]}",
        "/channels/sms/kannel/%ff%fe",
        "/channels/sms/kannel/%00",
    ],
)
async def test_a_path_that_only_looks_right_reaches_nothing(site: Site, path: str) -> None:
    answer = await site.ask("GET", f"{path}?from=1&id=1&text={site.service.code()}")
    assert answer.status in {403, 404}
    assert KANNEL_SECRET not in answer.body
    assert site.counted == 0


async def test_what_a_local_proxy_forwards_is_not_from_this_machine(site: Site) -> None:
    query = f"?from=13800138000&id=1&text={site.service.code()}"
    for told in ("6.6.6.6", "127.0.0.1"):
        assert (await site.ask("GET", KANNEL + query, X_Forwarded_For=told)).status == 403
    assert site.counted == 0


@pytest.mark.parametrize("before", ["%ff%fe", "%ed%a0%80", "%00", "%f0%9f", "%e2%80%8f", "%0d%0a%0d%0a"])
async def test_octets_that_are_no_text_beside_a_code_hide_nothing(site: Site, before: str) -> None:
    answer = await site.kannel(before + site.service.code())
    assert answer.status == 200
    assert "首次" in answer.body
    assert site.counted == 1


@pytest.mark.parametrize(
    "sender", ["%ff%fe", "%ed%a0%80", "%00", "A" * 4000, "%2B" * 64, "10086", "%F0%9F%91%8D"]
)
async def test_senders_that_are_no_numbers_are_answered_and_break_nothing(site: Site, sender: str) -> None:
    assert (await site.kannel(site.service.code(), sender=sender)).status == 200
    assert site.counted == 1


async def test_one_telephone_in_every_spelling_is_one_caller(site: Site) -> None:
    spellings = ["+8613800138000", "8613800138000", "008613800138000", "13800138000", "+86 138-0013 8000"]
    spellings += [
        "１３８００１３８０００",
        "tel:+8613800138000",
        "＋８６１３８００１３８０００",
        "(+86)13800138000",
    ]
    for number, spelling in enumerate(spellings):
        await site.kannel(site.service.code(), sender=quote(spelling), number=str(number))
    tokens = {fact.token for fact in site.service.store.facts}
    assert len(tokens) == 1


async def test_thousands_of_digits_are_one_slip_at_most(site: Site) -> None:
    for number, digits in enumerate(("7" * 1600, "7" * 7000)):
        assert (await site.kannel(digits, number=str(number))).status == 200
    assert site.counted == 0


@pytest.mark.parametrize(
    "more",
    [
        b"&Body=x",
        b"&a=1" * 3000,
        b"&MessageSid=SM" + b"0" * 32,
        b"&From=%2B8613900139000",
        b"&%00=",
        b"&x=%ff",
    ],
)
async def test_a_form_that_was_added_to_is_forged(site: Site, more: bytes) -> None:
    answer = await site.twilio(site.service.code(), more=more)
    assert answer.status == 403
    assert site.counted == 0


async def test_a_signed_form_is_good_at_its_own_address_alone(site: Site) -> None:
    for path in ("/channels/sms/twilio/", "/channels/sms/twilio/delivery/1", "/channels/sms/Twilio"):
        assert (await site.twilio(site.service.code(), path=path)).status in {403, 404}
    assert site.counted == 0


async def test_a_replay_says_the_same_and_counts_nothing(site: Site) -> None:
    sid, code = new_message_sid(), site.service.code()
    first = await site.twilio(code, sid=sid)
    assert await site.twilio(code, sid=sid) == first
    assert await site.twilio("another text", sid=sid, path="/channels/sms/twilio?x=1") != first
    assert site.counted == 1


@pytest.mark.parametrize(
    "text", ["</Message></Response><!--&", "]]>", "<![CDATA[", "\0\x01\x1f", "&amp;&lt;", "\ufffe"]
)
async def test_nothing_a_stranger_writes_is_said_back(site: Site, text: str) -> None:
    answer = await site.twilio(f"{text} {site.service.code()}")
    assert answer.status == 200
    assert answer.body.count("<") == 5  # declaration, response, message, and their ends
    assert "海岸牧场" in answer.body or "Coast Pastures" in answer.body


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b"[" * 30_000 + b"]" * 30_000,
        b'{"a":' * 10_000,
        b"[" + b"{}," * 20_000 + b"{}]",
        b"[NaN]",
        b"null",
        b"",
        "[]".encode("utf-16"),
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("name", ["alibaba", "tencent", "baidu"])
async def test_a_body_of_another_form_is_refused(site: Site, name: str, body: bytes) -> None:
    assert (await site.gateway(name, body)).status == 400


@pytest.mark.parametrize(
    "time",
    [
        '"2026-03-05 08:00:00"',
        "1e400",
        "-1",
        "9999999999999999",
        '"9999-12-31 23:59:59"',
        '"0001-01-01 00:00:00"',
        "[]",
    ],
)
async def test_an_impossible_time_loses_its_own_item_alone(site: Site, time: str) -> None:
    moment = SystemClock().now().astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M:%S")
    code = site.service.code()
    items = [
        f'{{"phone_number":"1380013800{place}","content":"{code}","send_time":{written},"sequence_id":"{place}"}}'
        for place, written in enumerate((time, f'"{moment}"'))
    ]
    answer = await site.gateway("alibaba", f"[{','.join(items)}]".encode())
    assert answer.status == 200
    assert site.counted == 1
