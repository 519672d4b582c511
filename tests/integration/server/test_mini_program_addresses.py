"""The mini-program's addresses on the real server, every answer held against the OpenAPI document."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from app.web.api.document import openapi_document
from channels.wechat.api.adapter import MiniProgramApiAdapter
from channels.wechat.api.sessions import MiniProgram
from tests.contract.channel.mini_program_api_binding import ACCOUNT
from tests.fakes.fake_sign_ins import FakeSignIns
from tests.fakes.sample_service import OUTCOME_BATCHES, PUBLIC_URL, SampleService, start_sample_service
from tests.integration.server.running import running
from tests.integration.server.schema import errors_of

BASE = "/api/v1/wechat"
DOCUMENT: dict[str, Any] = openapi_document(PUBLIC_URL)


class Phone:
    """Somebody's mini-program, whose every answer is as the document says."""

    def __init__(self, client: ClientSession, sign_ins: FakeSignIns) -> None:
        self._client = client
        self._sign_ins = sign_ins
        self.token = ""

    async def sign_in(self) -> None:
        self._sign_ins.codes["js-1"] = "oOpenid-of-the-one"
        status, session = await self.ask("POST", "/session", {"code": "js-1"})
        assert status == 200
        self.token = session["token"]

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        given = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **headers}
        async with self._client.request(method, BASE + path, json=body, headers=given) as response:
            operation = DOCUMENT["paths"][BASE + path.partition("?")[0]][method.lower()]
            content = operation["responses"][str(response.status)].get("content")
            if content is None:
                assert await response.read() == b""
                return response.status, None
            document = await response.json(content_type=None)
            assert errors_of(document, content[response.content_type]["schema"], DOCUMENT) == []
            return response.status, document


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


@pytest.fixture
async def phone(service: SampleService) -> AsyncIterator[Phone]:
    sign_ins = FakeSignIns()
    adapter = MiniProgramApiAdapter(service.context, [MiniProgram(account=ACCOUNT, platform=sign_ins)])
    async with (
        running([adapter], service.pipeline, service.journal) as site,
        ClientSession(site.url) as client,
    ):
        yield Phone(client, sign_ins)


async def test_every_verdict_is_as_the_document_says(phone: Phone, service: SampleService) -> None:
    await phone.sign_in()
    for outcome, batch in OUTCOME_BATCHES.items():
        for number, locale in enumerate(("zh-CN", "en", "fr")):
            body = {"code": service.code(batch, number), "locale": locale}
            status, verdict = await phone.ask("POST", "/verifications", body)
            assert (status, verdict["outcome"]) == (200, outcome.value)
    code = service.code()
    slip = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    for text in (slip, "", "123", service.unknown_code(), code):
        assert (await phone.ask("POST", "/verifications", {"code": text}))[0] == 200
    for query in ("", "?limit=50", "?limit=1&locale=en"):
        assert (await phone.ask("GET", f"/verifications{query}"))[0] == 200


async def test_a_check_is_watched_and_reported(phone: Phone, service: SampleService) -> None:
    await phone.sign_in()
    _, verdict = await phone.ask(
        "POST", "/verifications", {"code": service.code()}, **{"Idempotency-Key": "key-1"}
    )
    result = {"result": verdict["result"]}
    assert await phone.ask("POST", "/recall-watches", result) == (204, None)
    assert await phone.ask("POST", "/reports", {**result, "text": "封口像是被打开过"}) == (204, None)
    assert (await phone.ask("POST", "/recall-watches", {"result": "x" * 22}))[0] == 404
    assert (await phone.ask("POST", "/reports", {"result": "x" * 22, "text": "x"}))[0] == 404


async def test_every_problem_is_as_the_document_says(phone: Phone, service: SampleService) -> None:
    signed_out = (
        ("GET", "/verifications"),
        *(("POST", path) for path in ("/verifications", "/recall-watches", "/reports")),
    )
    for method, path in signed_out:
        assert (await phone.ask(method, path, {}))[0] == 401
    assert (await phone.ask("POST", "/session", {"code": "unknown"}))[0] == 401
    assert (await phone.ask("POST", "/session", {"code": "js-1", "app_id": "another"}))[0] == 422
    await phone.sign_in()
    assert (await phone.ask("POST", "/verifications", {}))[0] == 422
    assert (await phone.ask("POST", "/verifications", {"code": "1" * 20_000}))[0] == 413
    assert (await phone.ask("POST", "/verifications", {"code": "1"}, **{"Content-Type": "text/plain"}))[
        0
    ] == 415
    assert (await phone.ask("POST", "/verifications", []))[0] == 400
    assert (await phone.ask("GET", "/verifications?limit=99"))[0] == 422
    assert (await phone.ask("POST", "/reports", {"text": ""}))[0] == 422
    service.store.down = service.reports.down = True
    status, problem = await phone.ask("POST", "/verifications", {"code": service.code()})
    assert (status, problem["outcome"]) == (503, "unavailable")
    assert (await phone.ask("GET", "/verifications"))[0] == 503
    assert (await phone.ask("POST", "/reports", {"text": "x"}))[0] == 503
