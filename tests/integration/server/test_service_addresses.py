"""The service's own addresses and both web channels behind the real server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import ClientSession
from altcha import Challenge, Payload, solve_challenge

from app.core.model.verdict import Outcome
from app.web.api.document import openapi_document, problem_codes
from app.web.server import ServerOptions
from channels.problems import BY_KIND, RequestReason
from channels.registry import load_channels
from channels.web.refusals import PageReason
from channels.web.settings import WebOptions
from channels.wechat.api.refusals import AppReason
from tests.fakes.open_throttle import ShutThrottle
from tests.fakes.sample_service import OUTCOME_BATCHES, PUBLIC_URL, SampleService, start_sample_service
from tests.integration.server.running import LOOPBACK, Running, running
from tests.integration.server.schema import errors_of

VERIFICATIONS = "/api/v1/verifications"
DOCUMENT: dict[str, Any] = openapi_document(PUBLIC_URL)


def check_against_document(
    status: int, content_type: str, body: object, *, path: str = VERIFICATIONS
) -> None:
    (operation,) = DOCUMENT["paths"][path].values()
    content = operation["responses"][str(status)]["content"]
    assert errors_of(body, content[content_type]["schema"], DOCUMENT) == []


async def ask(client: ClientSession, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    """Ask the API and hold the answer against the document."""
    async with client.post(VERIFICATIONS, json=body, headers=headers) as response:
        document = await response.json(content_type=None)
        check_against_document(response.status, response.content_type, document)
        return response.status, document


async def test_every_verdict_is_as_the_document_says(client: ClientSession, service: SampleService) -> None:
    for outcome, batch in OUTCOME_BATCHES.items():
        for locale in ("zh-CN", "en", "fr"):
            number = ("zh-CN", "en", "fr").index(locale)
            status, verdict = await ask(client, {"code": service.code(batch, number), "locale": locale})
            assert (status, verdict["outcome"]) == (200, outcome.value)
    for _ in range(6):
        status, verdict = await ask(client, {"code": service.code("active", 9), "entry": "scanned"})
        assert status == 200
    assert verdict["outcome"] == Outcome.OVER_LIMIT.value
    code = service.code()
    slip = code[:6] + str((int(code[6]) + 1) % 10) + code[7:]
    assert (await ask(client, {"code": slip}))[1]["slip_position"] == [7]
    for text in ("", "123", "no digits", "🙂", service.unknown_code()):
        assert (await ask(client, {"code": text}))[0] == 200


async def test_every_problem_is_as_the_document_says(client: ClientSession, service: SampleService) -> None:
    assert (await ask(client, {}))[0] == 422
    assert (await ask(client, {"code": 7}))[0] == 422
    assert (await ask(client, {"code": "1"}, Origin="https://elsewhere.example"))[0] == 403
    assert (await ask(client, {"code": "1" * 20_000}))[0] == 413
    for data, content_type, expected in (
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
    ):
        async with client.post(VERIFICATIONS, data=data, headers={"Content-Type": content_type}) as response:
            assert response.status == expected
            check_against_document(expected, response.content_type, await response.json(content_type=None))
    service.store.down = True
    status, problem = await ask(client, {"code": service.code()})
    assert (status, problem["outcome"]) == (503, "unavailable")


async def test_a_throttled_query_is_as_the_document_says() -> None:
    work = {"web": WebOptions(proof_rounds=1)}
    service = await start_sample_service(throttle=ShutThrottle(), settings=work)
    adapters = load_channels(["api"], service.context)
    async with (
        running(adapters, service.pipeline, service.journal) as site,
        ClientSession(site.url) as client,
    ):
        status, problem = await ask(client, {"code": service.code()})
        assert (status, problem["outcome"], problem["retry_after"]) == (429, "throttled", 90)
        async with client.get(problem["challenge"]) as response:
            assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
            challenge = await response.json()
            check_against_document(200, response.content_type, challenge, path=problem["challenge"])
            solution = solve_challenge(Challenge.from_dict(challenge))
        assert solution is not None
        payload = Payload(Challenge.from_dict(challenge), solution).to_base64()
        status, _ = await ask(client, {"code": service.code()}, **{"Proof-Of-Work": payload})
        assert status == 429  # this throttle admits nobody at all
    await service.engine.close()


def test_the_document_lists_every_problem_code() -> None:
    told = {reason.value.code for reason in (*RequestReason, *PageReason, *AppReason)}
    told |= {problem.code for problem in BY_KIND.values()}
    pages_only = {"invalid_link"}
    listed = {code for code, _ in problem_codes()}
    assert told - pages_only <= listed
    assert listed - told == {"throttled", "foreign_page"}  # an outcome, and the page that WeChat scans on


async def test_the_document_is_served(client: ClientSession) -> None:
    async with client.get("/api/v1/openapi.json") as response:
        assert response.content_type == "application/json"
        assert await response.json() == DOCUMENT


async def test_the_docs_page_needs_nobody_else_and_names_everything(client: ClientSession) -> None:
    async with client.get("/api/v1/docs") as response:
        page = await response.text()
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|(src|href)=\"(?!/|#|data:)", page)
    for name in (*DOCUMENT["components"]["schemas"], *Outcome, "Idempotency-Key", VERIFICATIONS):
        assert name in page
    async with client.get("/static/docs.css") as response:
        assert response.content_type == "text/css"


async def test_unknown_addresses_are_a_page_or_a_problem_by_where_they_lie(client: ClientSession) -> None:
    async with client.get("/nowhere", headers={"Accept-Language": "en"}) as response:
        assert (response.status, response.content_type) == (404, "text/html")
        assert 'lang="en"' in await response.text()
    async with client.get("/api/v1/nowhere") as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")
        assert (await response.json(content_type=None))["code"] == "unknown_address"
    async with client.get(VERIFICATIONS) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")
        assert response.content_type == "application/problem+json"
    async with client.get("/verify") as response:
        assert (response.status, response.headers["Allow"], response.content_type) == (
            405,
            "POST",
            "text/html",
        )
    async with client.post("/livez") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/static/",
    ],
)
async def test_no_path_leaves_the_static_files(site: Running, path: str) -> None:
    answer = await site.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_what_the_page_names_is_there_for_ever(client: ClientSession) -> None:
    async with client.get("/") as response:
        page = await response.text()
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert addresses
    for address in addresses:
        async with client.get(address) as response:
            assert response.status == 200
            assert "immutable" in response.headers["Cache-Control"]


async def test_live_ready_and_numbers(client: ClientSession, service: SampleService) -> None:
    async with client.get("/livez") as response:
        assert (response.status, await response.json()) == (200, {"live": True})
    async with client.get("/readyz") as response:
        assert response.status == 200
        check_against_document(200, response.content_type, await response.json(), path="/readyz")
    service.store.down = True
    async with client.get("/readyz") as response:
        assert response.status == 503
        body = await response.json()
        check_against_document(503, response.content_type, body, path="/readyz")
        assert body["checks"]["record"]["code"] == "store_unavailable"
    async with client.get("/metrics") as response:
        assert (response.status, await response.text()) == (200, "numbers 1\n")
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_numbers_are_hidden_from_strangers(client: ClientSession, service: SampleService) -> None:
    # Behind a proxy that nobody configured, everybody would come from the loopback.
    async with client.get("/metrics", headers={"X-Forwarded-For": "198.51.100.7"}) as response:
        assert response.status == 404
    closed = ServerOptions(public_url=PUBLIC_URL, metrics_from=())
    trusting = ServerOptions(public_url=PUBLIC_URL, metrics_from=LOOPBACK, trusted_proxies=LOOPBACK)
    for options, forwarded, status in (
        (closed, "", 404),
        (trusting, "198.51.100.7", 404),
        (trusting, "127.0.0.9", 200),
    ):
        async with (
            running([], service.pipeline, service.journal, options=options) as site,
            ClientSession(site.url) as other,
            other.get("/metrics", headers={"X-Forwarded-For": forwarded} if forwarded else {}) as response,
        ):
            assert response.status == status


async def test_get_never_counts_and_neither_does_head(client: ClientSession, service: SampleService) -> None:
    for method in ("GET", "HEAD"):
        async with client.request(method, f"/q/{service.code()}") as response:
            assert response.status == 200
    assert service.store.facts == []
