"""Spans reach a collector over OTLP/HTTP, say nothing personal, and cost nothing where none is set."""

import asyncio
import io
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.adapters.clock import SystemClock
from app.adapters.telemetry import Tracing, TracingJournal
from app.bootstrap.tracing import open_journal, trace_requests
from app.logs import Logs, configure_logs
from app.settings import load_settings
from channels.base import InboundRequest
from channels.registry import load_channels
from tests.acceptance.cli.shell import ROOT
from tests.fakes.clock import START
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.run_delay import run_delay_s


class Collector:
    """An OTLP/HTTP collector on a free port of the loopback; ``spans`` are what it was sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        collector = self

        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in group.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def logs() -> Logs:
    return configure_logs(log_format="json", stream=io.BytesIO())


async def ask(service: SampleService, journal: Any, code: str) -> int:
    """Ask the service over its API, through the pipeline as bootstrap puts it together."""
    (api,) = load_channels(["api"], service.context)
    route = next(one for one in api.routes() if one.method == "POST")
    pipeline = trace_requests(service.pipeline_with(journal=journal), journal)
    inbound = InboundRequest(
        method="POST",
        route=route.path,
        path=route.path,
        headers={"content-type": "application/json", "idempotency-key": "key-of-a-stranger"},
        body=f'{{"code":"{code}"}}'.encode(),
        remote="203.0.113.9",
        received_at=START,
    )
    return (await pipeline.carry(api, inbound)).status


async def test_a_request_its_verification_and_the_commit(logs: Logs) -> None:
    service, exporter = await start_sample_service(), InMemorySpanExporter()
    journal = TracingJournal(logs, SystemClock(), Tracing(exporter, version="1", share=1.0))
    code = service.code()
    assert await ask(service, journal, code) == 200
    journal.committed(3, 1.5)
    await service.engine.close()
    journal.tracing.close()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"request", "verification", "commit"}
    request, verification, commit = spans["request"], spans["verification"], spans["commit"]
    assert dict(request.attributes) == {
        "yanzhen.channel": "api",
        "http.request.method": "POST",
        "http.route": "/api/v1/verifications",
        "http.response.status_code": 200,
    }
    assert dict(verification.attributes) == {
        "yanzhen.channel": "api",
        "yanzhen.outcome": "first",
        "yanzhen.entry": "typed",
        "yanzhen.ordinal": 1,
        "yanzhen.duplicate": False,
    }
    assert verification.parent.span_id == request.context.span_id
    assert commit.parent is None
    assert (dict(commit.attributes), commit.end_time - commit.start_time) == (
        {"yanzhen.verifications": 3},
        1_500_000,
    )
    told = "".join(span.to_json() for span in spans.values())
    for secret in (code, code[:12], "203.0.113.9", "key-of-a-stranger"):
        assert secret not in told


async def test_spans_arrive_at_a_collector(logs: Logs, collector: Collector) -> None:
    service = await start_sample_service()
    flags = {"telemetry": {"endpoint": collector.endpoint, "share": 1}}
    async with AsyncExitStack() as parts:
        journal = open_journal(load_settings(flags=flags), logs, SystemClock(), parts)
        for number in range(5):
            assert await ask(service, journal, service.code(number=number)) == 200
    await service.engine.close()
    assert sorted(span.name for span in collector.spans) == ["request"] * 5 + ["verification"] * 5


async def test_a_share_of_nothing_sends_nothing(logs: Logs, collector: Collector) -> None:
    service = await start_sample_service()
    flags = {"telemetry": {"endpoint": collector.endpoint, "share": 0}}
    async with AsyncExitStack() as parts:
        journal = open_journal(load_settings(flags=flags), logs, SystemClock(), parts)
        assert await ask(service, journal, service.code()) == 200
    await service.engine.close()
    assert collector.spans == []


async def test_a_dead_collector_costs_spans_and_no_answer(logs: Logs) -> None:
    service = await start_sample_service()
    with socket.socket() as silent:  # takes connections and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        flags = {"telemetry": {"endpoint": endpoint, "share": 1}}
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as parts:
            journal = open_journal(load_settings(flags=flags), logs, SystemClock(), parts)
            for number in range(50):
                began, delayed = loop.time(), run_delay_s()
                assert await ask(service, journal, service.code(number=number)) == 200
                assert loop.time() - began - (run_delay_s() - delayed) < 1
            began, delayed = loop.time(), run_delay_s()
        assert loop.time() - began - (run_delay_s() - delayed) < 8
    await service.engine.close()
    assert journal.tallies().answers["api", "first"] == 50


def test_nothing_is_imported_where_no_endpoint_is_set() -> None:
    probe = (
        "import io, sys; from contextlib import AsyncExitStack\n"
        "from app.adapters.clock import SystemClock\n"
        "from app.bootstrap.tracing import open_journal\n"
        "from app.logs import configure_logs\n"
        "from app.settings import load_settings\n"
        "open_journal(load_settings(), configure_logs(stream=io.BytesIO()), SystemClock(), AsyncExitStack())\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'requests', 'google'))])"
    )
    run = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.strip() == "[]"
