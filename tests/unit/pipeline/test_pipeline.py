"""What the one path keeps for every channel: its deadline whatever the record does, and the count of wrong codes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Never

import orjson
import pytest

from app.core.model.code import Code, read_codes
from app.core.model.verdict import VerificationId
from channels.base import InboundRequest, OutboundResponse
from channels.web.api import ApiAdapter
from channels.web.pages import WebAdapter
from tests.fakes.open_throttle import OpenThrottle
from tests.fakes.sample_service import SampleService, start_sample_service


class QuickApi(ApiAdapter):
    manifest = replace(ApiAdapter.manifest, deadline_ms=30)


class QuickWeb(WebAdapter):
    manifest = replace(WebAdapter.manifest, deadline_ms=30)


@pytest.fixture
def throttle() -> OpenThrottle:
    return OpenThrottle()


@pytest.fixture
async def service(throttle: OpenThrottle) -> AsyncIterator[SampleService]:
    service = await start_sample_service(throttle=throttle)
    yield service
    await service.engine.close()


async def never(*_: object) -> Never:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


def asked(service: SampleService, code: str, **headers: str) -> InboundRequest:
    return InboundRequest(
        method="POST",
        route="/api/v1/verifications",
        path="/api/v1/verifications",
        headers={"content-type": "application/json", **headers},
        body=orjson.dumps({"code": code}),
        remote="192.0.2.7",
        received_at=service.clock.now(),
    )


async def post(service: SampleService, code: str, **headers: str) -> OutboundResponse:
    return await service.pipeline.carry(QuickApi(service.context), asked(service, code, **headers))


async def test_a_record_that_does_not_answer_does_not_hold_a_retry(
    service: SampleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.store, "find_answer", never)
    answer = await post(service, service.code(), **{"idempotency-key": "one"})
    assert answer.status == 503
    assert orjson.loads(answer.body)["outcome"] == "unavailable"
    assert [duplicate for _, _, duplicate in service.journal.answers] == [False]
    assert service.store.facts == []


async def test_a_record_that_does_not_answer_does_not_hold_a_result_page(
    service: SampleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.store, "find_record", never)
    sealed = service.context.identities.seal_result(VerificationId(1))
    request = InboundRequest(
        method="GET",
        route="/r/{result}",
        path=f"/r/{sealed}",
        parts={"result": sealed},
        received_at=service.clock.now(),
    )
    answer = await service.pipeline.carry(QuickWeb(service.context), request)
    assert answer.status == 503
    assert dict(answer.headers)["Retry-After"] == "5"


async def test_every_reading_of_a_text_is_a_guess(service: SampleService, throttle: OpenThrottle) -> None:
    # a run of 22 digits is no code, but the sound windows in it are put to the proof: each is a guess
    one = service.unknown_code()
    await post(service, one)
    assert len(throttle.wrong) == 1
    shifted = next(
        text
        for text in (one + tail for tail in map("{:02d}".format, range(100)))
        if len(_readings(service, text)) > 1
    )
    throttle.wrong.clear()
    await post(service, shifted)
    assert len(throttle.wrong) == len(_readings(service, shifted)) - 1


async def test_no_answer_is_never_the_answer_of_a_retry(service: SampleService) -> None:
    slip = service.code()[:-3]
    service.store.down = True
    assert (await post(service, slip, **{"idempotency-key": "one"})).status == 503
    service.store.down = False
    answer = await post(service, slip, **{"idempotency-key": "one"})
    assert orjson.loads(answer.body)["outcome"] == "mistyped"
    service.store.down = True
    assert await post(service, slip, **{"idempotency-key": "one"}) == answer, "it was said before"
    assert [duplicate for _, _, duplicate in service.journal.answers] == [False, False, True]


async def test_without_an_id_every_request_is_a_query(service: SampleService, throttle: OpenThrottle) -> None:
    slip = service.code()[:-3]
    for _ in range(2):
        await post(service, slip)
    assert len(throttle.asked) == 2
    assert [duplicate for _, _, duplicate in service.journal.answers] == [False, False]


async def test_the_deliveries_left_are_answered_when_the_first_is_cut_off(
    service: SampleService, throttle: OpenThrottle
) -> None:
    service.store.hold()
    pipeline, api = service.pipeline, ApiAdapter(service.context)
    request = asked(service, service.code(), **{"idempotency-key": "one"})
    first, second = (asyncio.create_task(pipeline.carry(api, request)) for _ in range(2))
    while service.engine._drainer is None:  # the first has begun, and its commit is held back
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    service.store.release()
    assert orjson.loads((await second).body)["outcome"] == "first"
    assert len(service.store.facts) == 1


def _readings(service: SampleService, text: str) -> tuple[Code, ...]:
    reading = read_codes(text, lengths=service.engine.catalogue.lengths)
    return (reading.code, *reading.others)
