"""The JSON API's documents: members, statuses, problems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from app.core.model.verdict import Outcome, Verdict
from channels.base import InboundRequest, OutboundResponse
from channels.networks import network_of
from channels.turns import CodeSubmitted
from channels.web.api import ApiAdapter
from channels.web.visitors import subjects_of
from channels.wording.variants import Variant
from tests.fakes.clock import START
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.unit.wording.verdicts import verdict_of

COOKIE = "Y2FsbGVyLWNvb2tpZS0tLQ"


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


@pytest.fixture
def adapter(service: SampleService) -> ApiAdapter:
    return ApiAdapter(service.context)


def post(document: Any, **headers: str) -> InboundRequest:
    return InboundRequest(
        method="POST",
        route="/api/v1/verifications",
        path="/api/v1/verifications",
        headers={
            "content-type": "application/json; charset=utf-8",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        body=document if isinstance(document, bytes) else orjson.dumps(document),
        remote="192.0.2.7",
        received_at=START,
    )


async def ask(service: SampleService, adapter: ApiAdapter, document: Any, **headers: str) -> tuple[int, Any]:
    answer = await service.pipeline.carry(adapter, post(document, **headers))
    return answer.status, orjson.loads(answer.body)


async def test_a_first_verification_in_full(service: SampleService, adapter: ApiAdapter) -> None:
    status, body = await ask(service, adapter, {"code": service.code(), "locale": "en"})
    assert status == 200
    assert body == {
        "outcome": "first",
        "ordinal": 1,
        "first": {"at": "2026-03-05T01:12:00Z", "channel": "api", "place": None, "own": False},
        "reasons": [],
        "message": "This code matches our record. This is its first check.",
        "recorded_at": "2026-03-05T01:12:00Z",
        "locale": "en",
        "product": {
            "name": "海岸婴儿配方奶粉 800 克",
            "name_en": "Coast infant formula 800 g",
            "gtin": "06901234567892",
            "picture": None,
        },
        "brand": {"name": "海岸牧场", "name_en": "Coast Pastures", "service_line": "400-800-1234"},
        "programme": {"name": "质量月专用标识", "name_en": "Quality Month label"},
    }


async def test_a_slip_gives_its_place(service: SampleService, adapter: ApiAdapter) -> None:
    code = service.code()
    swapped = next(
        code[:n] + code[n + 1] + code[n] + code[n + 2 :]
        for n in range(len(code) - 1)
        if code[n] != code[n + 1]
    )
    place = next(n for n in range(len(code)) if code[n] != swapped[n]) + 1
    status, body = await ask(service, adapter, {"code": swapped})
    assert status == 200
    assert body["outcome"] == "mistyped"
    assert body["slip_position"] == [place, place + 1]
    assert body["ordinal"] is None
    assert body["first"] is None
    assert body["product"] is None


@pytest.mark.parametrize("code", ["", "   ", "😀", "12345", "no digits", "\x00"])
async def test_hopeless_codes_are_mistyped_with_help(
    service: SampleService, adapter: ApiAdapter, code: str
) -> None:
    status, body = await ask(service, adapter, {"code": code, "locale": "en"})
    assert (status, body["outcome"]) == (200, "mistyped")
    assert "under the coating" in body["message"]
    assert body["recorded_at"] is None


@pytest.mark.parametrize(
    ("document", "headers", "status", "code"),
    [
        (b"{", {}, 400, "invalid_json"),
        (b"", {}, 400, "invalid_json"),
        (b"[]", {}, 400, "invalid_json"),
        (b'{"code": "\xff\xfe"}', {}, 400, "invalid_utf8"),
        (b"[" * 2000, {}, 400, "invalid_json"),
        ({}, {}, 422, "missing_code"),
        ({"code": 5}, {}, 422, "missing_code"),
        ({"code": "1", "locale": []}, {}, 422, "invalid_member"),
        ({"code": "1", "entry": "dreamt"}, {}, 422, "invalid_member"),
        ({"code": "1", "entry": 1}, {}, 422, "invalid_member"),
        ({"code": "1"}, {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        ({"code": "1"}, {"content-type": ""}, 415, "unsupported_media_type"),
        ({"code": "1"}, {"idempotency-key": ""}, 400, "invalid_idempotency_key"),
        ({"code": "1"}, {"idempotency-key": "x" * 256}, 400, "invalid_idempotency_key"),
        ({"code": "1"}, {"idempotency-key": "é"}, 400, "invalid_idempotency_key"),
        ({"code": "1"}, {"origin": "https://elsewhere.example"}, 403, "not_authentic"),
    ],
)
async def test_problems_have_a_stable_code(
    service: SampleService,
    adapter: ApiAdapter,
    document: Any,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await service.pipeline.carry(adapter, post(document, **headers))
    body = orjson.loads(answer.body)
    assert answer.content_type == "application/problem+json"
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert service.journal.answers == []


@pytest.mark.parametrize(("variant", "status"), [(Variant.THROTTLED, 429), (Variant.UNAVAILABLE, 503)])
async def test_no_answer_is_a_problem_with_its_outcome(
    service: SampleService, adapter: ApiAdapter, variant: Variant, status: int
) -> None:
    request = post({"code": "1"})
    answer = adapter.encode(
        request, adapter.decode(request), service.wording.reply(verdict_of(variant), "en")
    )
    body = orjson.loads(answer.body)
    assert answer.status == body["status"] == status
    assert dict(answer.headers)["Retry-After"] == "90"
    assert body["outcome"] == body["code"] == variant.value
    assert body["retry_after"] == 90
    assert body["detail"]


async def test_the_same_key_from_a_stranger_opens_nothing(
    service: SampleService, adapter: ApiAdapter
) -> None:
    _, first = await ask(service, adapter, {"code": service.code()}, idempotency_key="order-1")
    _, other = await ask(service, adapter, {"code": service.code(number=1)}, idempotency_key="order-1")
    assert first["ordinal"] == other["ordinal"] == 1
    assert len(service.store.facts) == 2


async def test_the_cookie_makes_an_own_repeat_and_its_absence_a_stranger(
    service: SampleService, adapter: ApiAdapter
) -> None:
    document = {"code": service.code()}
    await ask(service, adapter, document, cookie=f"__Host-yz_caller={COOKIE}")
    _, own = await ask(service, adapter, document, cookie=f"a=b; __Host-yz_caller={COOKIE}")
    # behind HTTPS a name that any host of the domain could have set is nobody's
    _, stranger = await ask(service, adapter, document, cookie=f"yz_caller={COOKIE}")
    assert own["outcome"] == "repeat_own"
    assert own["reasons"] == ["just_recorded"]
    assert own["first"]["own"] is True
    assert stranger["outcome"] == "repeat"
    assert stranger["first"]["own"] is False


async def test_an_unknown_locale_falls_back(service: SampleService, adapter: ApiAdapter) -> None:
    for locale, answered in (("xx-YY", "zh-CN"), ("en-GB", "en"), (None, "zh-CN"), ("", "zh-CN")):
        _, body = await ask(service, adapter, {"code": "1", "locale": locale})
        assert body["locale"] == answered


async def test_a_scanned_code_cannot_be_a_slip(service: SampleService, adapter: ApiAdapter) -> None:
    code = service.code()
    wrong = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    _, typed = await ask(service, adapter, {"code": wrong})
    _, scanned = await ask(service, adapter, {"code": wrong, "entry": "scanned"})
    assert (typed["outcome"], scanned["outcome"]) == ("mistyped", "not_found")


async def test_times_keep_their_microseconds(service: SampleService, adapter: ApiAdapter) -> None:
    at = datetime(2026, 3, 5, 1, 12, 0, 4, tzinfo=UTC)
    request = post({"code": "1"})
    reply = service.wording.reply(Verdict(outcome=Outcome.NOT_FOUND, recorded_at=at), "en")
    answer: OutboundResponse = adapter.encode(request, adapter.decode(request), reply)
    assert orjson.loads(answer.body)["recorded_at"] == "2026-03-05T01:12:00.000004Z"


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_an_address_stands_for_its_network(remote: str, network: str) -> None:
    assert network_of(remote) == network


async def test_whom_a_query_counts_for(service: SampleService, adapter: ApiAdapter) -> None:
    bare = adapter.decode(post({"code": "1"}))
    known = adapter.decode(post({"code": "1"}, cookie=f"__Host-yz_caller={COOKIE}"))
    assert isinstance(bare, CodeSubmitted)
    assert isinstance(known, CodeSubmitted)
    assert [subject.kind for subject in bare.subjects] == ["address"]
    assert [subject.kind for subject in known.subjects] == ["web", "address"]
    assert subjects_of(known.request.caller, "192.0.2.8")[0] != known.subjects[0]
