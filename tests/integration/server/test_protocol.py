"""What the server makes of HTTP itself: methods, sizes, slow and broken clients, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import pytest
from aiohttp import ClientSession

from app.web.server import ServerOptions
from channels.base import OutboundResponse, RefusalKind, Route
from channels.pipeline import Pipeline
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import SampleService
from tests.integration.server.running import LOOPBACK, Running, running
from tests.integration.server.toy_channel import GatedPipeline, ToyChannel

ROUTES = (
    Route(method="GET", path="/toy"),
    Route(method="POST", path="/toy", max_body_bytes=100),
    Route(method="GET", path="/toy/{name}"),
)
OPTIONS = ServerOptions(public_url="http://127.0.0.1", metrics_from=LOOPBACK, drain_s=5, body_deadline_s=30)


@pytest.fixture
def toy() -> ToyChannel:
    return ToyChannel(*ROUTES)


@pytest.fixture
async def site(toy: ToyChannel, service: SampleService) -> AsyncIterator[Running]:
    async with running([toy], service.pipeline, service.journal, options=OPTIONS) as site:
        yield site


async def test_a_request_arrives_as_plain_values(client: ClientSession, toy: ToyChannel) -> None:
    headers = {"X-Some": "value", "X-Forwarded-For": "198.51.100.7"}
    async with client.get("/toy/%E9%AA%8C?a=1&b=%20", headers=headers) as response:
        assert (response.status, await response.read()) == (200, b"toy")
    (seen,) = toy.seen
    assert (seen.method, seen.route, seen.path) == ("GET", "/toy/{name}", "/toy/验")
    assert dict(seen.parts) == {"name": "验"}
    assert dict(seen.query) == {"a": "1", "b": " "}
    assert (seen.headers["x-some"], seen.headers["X-SOME"], seen.headers.get("none")) == (
        "value",
        "value",
        None,
    )
    assert (seen.body, seen.remote) == (b"", "127.0.0.1")


async def test_a_body_arrives_whole_in_pieces_or_chunks(site: Running, toy: ToyChannel) -> None:
    head = b"POST /toy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    assert (await site.raw(chunked)).startswith(b"HTTP/1.1 200 ")
    plain = head + b"Content-Length: 7\r\n\r\nabcdefg"
    assert (await site.raw(plain)).startswith(b"HTTP/1.1 200 ")
    assert [seen.body for seen in toy.seen] == [b"abcdefg", b"abcdefg"]


async def test_a_compressed_body_is_handed_on_as_sent(client: ClientSession, toy: ToyChannel) -> None:
    async with client.post("/toy", data=b"\x1f\x8b??", headers={"Content-Encoding": "gzip"}) as response:
        assert response.status == 200
    assert toy.seen[0].body == b"\x1f\x8b??"


async def test_head_is_get_without_the_body(site: Running, toy: ToyChannel) -> None:
    got = await site.raw(b"GET /toy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    told = await site.raw(b"HEAD /toy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert got.endswith(b"\r\n\r\ntoy")
    assert told.partition(b"Date")[0] == got.partition(b"Date")[0]
    assert told.endswith(b"\r\n\r\n")
    assert b"Content-Length: 3\r\n" in told
    assert [seen.method for seen in toy.seen] == ["GET", "GET"]


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"])
async def test_another_method_is_refused_with_the_list(
    client: ClientSession, toy: ToyChannel, method: str
) -> None:
    async with client.request(method, "/toy") as response:
        assert await response.read() == b"method_not_allowed"
        assert response.headers["Allow"] == "GET, HEAD, POST"
    assert toy.seen == []


async def test_an_unknown_address_is_refused_in_the_asker_s_language(
    client: ClientSession, toy: ToyChannel
) -> None:
    for headers in (
        {},
        {"Accept-Language": "en-GB,en;q=0.9"},
        {"Cookie": "lang=en"},
        {"Accept-Language": "fr"},
    ):
        async with client.get("/nowhere", headers=headers) as response:
            assert await response.read() == b"unknown_address"
    async with client.get("/nowhere?lang=en", headers={"Accept-Language": "zh"}) as response:
        assert response.status == 418
    assert [refusal.locale for refusal in toy.refusals] == ["zh-CN", "en", "en", "zh-CN", "en"]


@pytest.mark.parametrize("size", [101, 1_000_000])
async def test_a_large_body_is_refused_by_length_and_by_count(
    site: Running, client: ClientSession, toy: ToyChannel, size: int
) -> None:
    async with client.post("/toy", data=bytes(size)) as response:
        assert await response.read() == b"too_large"

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // 101):
            yield bytes(101)

    async with client.post("/toy", data=pieces()) as response:
        assert await response.read() == b"too_large"
    assert toy.seen == []
    assert site.journal.refusals == [("toy", RefusalKind.TOO_LARGE)] * 2


async def test_a_body_of_exactly_the_limit_is_taken(client: ClientSession, toy: ToyChannel) -> None:
    async with client.post("/toy", data=bytes(100)) as response:
        assert response.status == 200
    assert len(toy.seen[0].body) == 100


async def test_a_body_that_does_not_come_is_refused_and_the_connection_closed(
    service: SampleService, toy: ToyChannel
) -> None:
    hasty = replace(OPTIONS, body_deadline_s=0.2)
    async with running([toy], service.pipeline, service.journal, options=hasty) as site:
        answer = await site.raw(b"POST /toy HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 418 ")
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"malformed")
    assert toy.seen == []


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(site: Running, toy: ToyChannel) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(b"POST /toy HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert toy.seen[0].body == b"ok"


async def test_pipelined_requests_are_answered_in_order_on_one_connection(
    site: Running, toy: ToyChannel
) -> None:
    one = b"GET /toy/a HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /toy/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await site.raw(one * 20 + last)).count(b"HTTP/1.1 200 OK\r\n") == 21
    assert toy.seen[-1].parts["name"] == "b"


async def test_an_old_client_is_kept_only_if_it_asks(site: Running) -> None:
    kept = await site.raw(b"GET /toy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", until=b"toy")
    assert b"Connection: keep-alive\r\n" in kept
    closed = await site.raw(b"GET /toy HTTP/1.0\r\n\r\n")
    assert b"Connection: close\r\n" in closed


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /toy HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /toy HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"nonsense\r\n\r\n",
        b"GET /toy HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"POST /toy HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /toy HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    ],
    ids=[
        "long header",
        "long address",
        "many headers",
        "no http",
        "bad header",
        "two lengths",
        "bad length",
        "tls",
    ],
)
async def test_what_is_not_http_gets_400_and_no_line_in_the_log(
    site: Running, toy: ToyChannel, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await site.raw(request_bytes)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert toy.seen == []
    assert caplog.records == []


async def test_a_broken_chunk_is_refused(site: Running, toy: ToyChannel) -> None:
    head = b"POST /toy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await site.raw(head + b"3\r\nabc\r\nZZ\r\n")
    assert answer.partition(b"\r\n")[0].split()[1] in {b"400", b"418"}
    assert toy.seen == []


async def test_a_failure_inside_is_one_line_and_an_honest_answer(
    client: ClientSession, site: Running, toy: ToyChannel
) -> None:
    def fail() -> None:
        raise RuntimeError("secret detail")

    toy.before = fail
    async with client.get("/toy") as response:
        assert await response.read() == b"internal"
    assert [(event, str(error)) for event, error in site.journal.failures] == [
        ("request_failed", "secret detail")
    ]
    toy.before = lambda: None
    async with client.get("/toy") as response:
        assert response.status == 200


async def test_an_answer_that_would_break_out_of_its_header_is_not_sent(
    client: ClientSession, toy: ToyChannel
) -> None:
    toy.reply = OutboundResponse(status=303, headers=(("Location", "/\r\nSet-Cookie: a=b"),))
    async with client.get("/toy", allow_redirects=False) as response:
        assert await response.read() == b"internal"
        assert "Set-Cookie" not in response.headers


async def test_a_slow_reader_is_waited_for_and_gets_everything(site: Running, toy: ToyChannel) -> None:
    toy.reply = OutboundResponse(status=200, body=b"x" * 4_000_000, content_type="application/json")
    answer = await site.raw(b"GET /toy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) == 4_000_000


async def test_a_client_that_leaves_does_not_cancel_what_it_asked_for(toy: ToyChannel) -> None:
    gated = GatedPipeline()
    async with running([toy], cast(Pipeline, gated), RecordingJournal(), options=OPTIONS) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(b"GET /toy HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(gated.entered.wait(), 30)
        writer.transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)
        gated.gate.set()
        await site.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert gated.finished == 1


async def test_stopping_lets_requests_under_way_finish_and_takes_no_new_ones(toy: ToyChannel) -> None:
    gated = GatedPipeline()
    async with running([toy], cast(Pipeline, gated), RecordingJournal(), options=OPTIONS) as site:
        asked = asyncio.create_task(site.raw(b"GET /toy HTTP/1.1\r\nHost: x\r\n\r\n"))
        await asyncio.wait_for(gated.entered.wait(), 30)
        port = site.server.port
        stopping = asyncio.create_task(site.server.stop())
        for _ in range(5):
            await asyncio.sleep(0)
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection("127.0.0.1", port)
        assert not stopping.done()
        gated.gate.set()
        assert (await asked).endswith(b"carried")
        await asyncio.wait_for(stopping, 30)


async def test_stopping_closes_idle_connections_at_once(toy: ToyChannel, service: SampleService) -> None:
    patient = replace(OPTIONS, drain_s=100)
    async with running([toy], service.pipeline, service.journal, options=patient) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(b"GET /toy HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"toy")
        await asyncio.wait_for(site.server.stop(), 30)
        assert await reader.read() == b""
        writer.close()


async def test_a_taken_port_is_said_at_the_start(site: Running, toy: ToyChannel) -> None:
    server = site.server
    other = type(server)(
        [toy],
        cast(Pipeline, GatedPipeline()),
        clock=server._clock,
        journal=RecordingJournal(),
        health=server._health,
        metrics=bytes,
        options=ServerOptions(public_url="http://x", port=server.port),
    )
    with pytest.raises(OSError, match=r"in use"):
        await other.start()


@pytest.mark.parametrize(
    "line",
    [
        "OPTIONS *",
        "CONNECT example.com:443",
        "GET http://elsewhere.example/nowhere",
        "GET //elsewhere.example/nowhere",
        "GET /nowhere#part",
        "GET /nowhere?%",
        "GET /%00",
        "PURGE /nowhere",
    ],
)
async def test_strange_targets_are_unknown_addresses(site: Running, toy: ToyChannel, line: str) -> None:
    answer = await site.raw(f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1] in {b"400", b"418"}
    assert site.journal.failures == []
    assert toy.seen == []


async def test_an_absolute_target_is_the_same_address(site: Running, toy: ToyChannel) -> None:
    answer = await site.raw(b"GET http://x/toy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"toy")
