"""Canaries through every way into the server with the real log behind it: none may be read in a line."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession

from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.core.errors import StoreUnavailable
from app.logs import configure_logs
from app.web.health import Health
from app.web.server import ServerOptions, WebServer
from channels.registry import load_channels
from tests.fakes.open_throttle import OpenThrottle
from tests.fakes.sample_service import SampleService
from tests.integration.server.running import LOOPBACK

COOKIE = "Zz9Yy8Xx7Ww6Vv5Uu4Tt3S"
PHONE = "13912345678"


@asynccontextmanager
async def logging_site(service: SampleService, stream: io.BytesIO) -> AsyncIterator[str]:
    """The real channels, journal and metrics; every line goes to ``stream``."""
    logs = configure_logs(log_format="json", level="debug", stream=stream)
    journal = ServiceJournal(logs)
    pipeline = service.pipeline_with(throttle=OpenThrottle(), journal=journal)
    server = WebServer(
        load_channels(["web", "api"], service.context),
        pipeline,
        clock=service.clock,
        journal=journal,
        health=Health({}, clock=service.clock, journal=journal),
        metrics=PrometheusMetrics(journal, version="0").render,
        options=ServerOptions(public_url="https://verify.example", port=0, metrics_from=LOOPBACK),
    )
    logs.start()
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()
        logs.stop()


async def test_no_code_caller_or_number_is_written(service: SampleService) -> None:
    stream, code = io.BytesIO(), service.code()
    cookies = {"__Host-yz_caller": COOKIE}
    async with logging_site(service, stream) as url, ClientSession(url, cookies=cookies) as client:
        for path in (
            f"/q/{code}",
            f"/q/{code}/x",
            f"/nowhere?code={code}",
            f"/r/{COOKIE}",
            f"/01/{code}/21/{code}",
        ):
            await client.get(path)
        await client.post("/verify", data={"code": code}, allow_redirects=False)
        await client.post("/verify", data={"code": code}, headers={"Origin": "https://elsewhere.example"})
        for body in (
            {"code": code, "locale": PHONE},
            {"code": f"call {PHONE}"},
            {"code": code, "entry": PHONE},
        ):
            await client.post("/api/v1/verifications", json=body, headers={"Idempotency-Key": PHONE})
        await client.post(
            "/api/v1/verifications", data=code.encode(), headers={"Content-Type": "application/json"}
        )
        service.store.down = True
        await client.post("/api/v1/verifications", json={"code": code})
        await client.get(
            f"/r/{service.context.identities.seal_result(service.store.facts[0].verification.id)}"
        )
        async with client.get("/metrics") as response:
            numbers = await response.text()
    written = stream.getvalue().decode()
    events = [json.loads(line)["event"] for line in written.splitlines()]
    assert events.count("verification") == 4
    assert StoreUnavailable.__name__ in written
    for canary in (code, code[:12], COOKIE, PHONE):
        assert canary not in written
        assert canary not in numbers
