"""The express lane answers as aiohttp's way does, byte for byte, and gives away whatever it does not understand."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from random import Random
from typing import cast

import pytest

from app.web.express import ExpressLane, PlainPost, read_plain_post
from app.web.routing import Endpoint
from app.web.server import ServerOptions
from channels.base import InboundRequest, OutboundResponse, Route
from channels.pipeline import Pipeline
from tests.fakes.sample_service import SampleService
from tests.integration.server.running import LOOPBACK, Running, running
from tests.integration.server.toy_channel import GatedPipeline, ToyChannel

ROUTE = Route(method="POST", path="/toy", max_body_bytes=100)
OPTIONS = ServerOptions(public_url="http://127.0.0.1", metrics_from=LOOPBACK, drain_s=5, body_deadline_s=30)
HEAD = b"POST /toy HTTP/1.1\r\nHost: x\r\n"
POST = HEAD + b"Content-Type: application/json\r\nContent-Length: 3\r\n\r\nabc"


async def _nobody(_: InboundRequest) -> OutboundResponse:
    return OutboundResponse(status=200)


ENDPOINTS = {
    "POST /toy HTTP/1.1": Endpoint(
        route=ROUTE, answer=_nobody, refuse=lambda _: OutboundResponse(status=418), channel="toy"
    )
}
read = partial(read_plain_post, endpoints=ENDPOINTS)


def test_a_plain_post_is_taken() -> None:
    post = read(POST)
    assert post is not None
    assert post.body == b"abc"
    assert dict(post.headers) == {"host": "x", "content-type": "application/json", "content-length": "3"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"POST",
        POST[:-1],
        POST + b"x",
        POST + POST,
        POST.replace(b"POST", b"GET"),
        POST.replace(b"/toy", b"/toys"),
        POST.replace(b"/toy", b"/toy?a=1"),
        POST.replace(b"/toy", b"/%74oy"),
        POST.replace(b"HTTP/1.1", b"HTTP/1.0"),
        POST.replace(b"Host: x\r\n", b""),
        POST.replace(b"Host: x", b"Host: x\r\nHost: y"),
        POST.replace(b"Content-Length: 3", b"Content-Length: +3"),
        POST.replace(b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 3"),
        POST.replace(b"Content-Length: 3", b"Content-Length : 3"),
        POST.replace(b"Content-Length: 3", b"Content-Length: 3\r\nTransfer-Encoding: chunked"),
        POST.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"),
        POST.replace(b"Host: x", b"Host: x\r\nUpgrade: websocket"),
        POST.replace(b"Host: x", b"Host: x\r\nConnection: close"),
        POST.replace(b"Host: x", b"Host: x\r\nSec-WebSocket-Key1: x"),
        POST.replace(b"Host: x", b"Host: x\r\n folded: yes"),
        POST.replace(b"Host: x", b"Host: x\nSmuggled: yes"),
        POST.replace(b"Host: x", b"Host: x\rSmuggled: yes"),
        POST.replace(b"Host: x", b"Host: x\x00y"),
        POST.replace(b"Host: x", b"Host: \xff"),
        POST.replace(b"Host: x", b"Host: x\r\nX_Y: underscore"),
        POST.replace(b"Host: x", b"Host: x\r\nPad: " + b"p" * 9000),
        HEAD + b"Content-Length: 101\r\n\r\n" + b"a" * 101,
    ],
)
def test_what_needs_interpretation_is_given_away(data: bytes) -> None:
    assert read(data) is None


PIECES = (
    b"Host: y\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 200\r\n",
    b"Content-Type: application/json\r\n",
    b"X-Odd:\tvalue \r\n",
    b"X-Empty:\r\n",
    b"Connection: keep-alive\r\n",
    b"Accept-Language: en\r\n",
    b"Accept-Encoding: gzip\r\n",
    b"bad line\r\n",
    b"X-High: \xe9\xaa\x8c\r\n",
    b"\r\n",
    b"abc",
)
STARTS = (
    HEAD,
    HEAD,
    HEAD,
    b"POST /toy HTTP/1.0\r\n",
    b"GET /toy HTTP/1.1\r\nHost: x\r\n",
    b"POST /no HTTP/1.1\r\nHost: x\r\n",
)
ENDS = (
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length: 3\r\n\r\nabc",
    b"\r\n",
    b"Content-Length: 9\r\n\r\nabc",
    b"",
)
LAST = HEAD + b"Connection: close\r\nContent-Length: 0\r\n\r\n"


async def test_both_ways_answer_alike(service: SampleService) -> None:
    """Differential: plain, odd and broken requests get the same bytes whether the lane is open or not."""
    random = Random(20261121)
    seen = set()
    taken = 0
    async with (
        running([ToyChannel(ROUTE)], service.pipeline, service.journal, options=OPTIONS) as lane,
        running(
            [ToyChannel(ROUTE)], service.pipeline, service.journal, options=replace(OPTIONS, express=False)
        ) as usual,
    ):
        for _ in range(120):
            middle = b"".join(random.choices(PIECES, k=random.choice((0, 0, 1, 2, 3))))
            data = random.choice(STARTS) + middle + random.choice(ENDS)
            taken += read(data) is not None
            one, other = await asyncio.gather(_converse(lane, data), _converse(usual, data))
            assert _comparable(one) == _comparable(other), data
            seen.add(one[:12])
    assert {b"HTTP/1.1 200", b"HTTP/1.1 400"} <= seen
    assert taken > 10


async def _converse(site: Running, data: bytes) -> bytes:
    """Send one packet, wait for the beginning of an answer, send the last request; return all that came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(data)
    received = b""
    try:
        async with asyncio.timeout(0.05):
            received = await reader.read(65536)
    except TimeoutError:
        pass  # the server waits for more
    writer.write(LAST)
    async with asyncio.timeout(20):
        received += await reader.read()
    writer.close()
    return received


def _comparable(response: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]*", b"Date", response)


@pytest.fixture
async def site(service: SampleService) -> AsyncIterator[Running]:
    async with running([ToyChannel(ROUTE)], service.pipeline, service.journal, options=OPTIONS) as site:
        yield site


async def test_a_connection_carries_many(site: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    for _ in range(50):
        writer.write(POST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(3) == b"toy"
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")  # from here it is aiohttp's
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_requests_sent_ahead_are_answered_in_order(site: Running) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(POST)
    await asyncio.sleep(0)
    for _ in range(20):
        writer.write(POST)
    for _ in range(21):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(3) == b"toy"
    writer.close()


async def test_stopping_lets_the_answer_under_way_finish(service: SampleService) -> None:
    gated = GatedPipeline()
    async with running([ToyChannel(ROUTE)], cast(Pipeline, gated), service.journal, options=OPTIONS) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(POST)
        await gated.entered.wait()
        stopping = asyncio.create_task(site.server.stop())
        assert await idle_reader.read() == b""
        gated.gate.set()
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
        await stopping
        writer.close()
        idle_writer.close()


async def test_a_client_that_leaves_does_not_stop_its_query(service: SampleService) -> None:
    gated = GatedPipeline()
    async with running([ToyChannel(ROUTE)], cast(Pipeline, gated), service.journal, options=OPTIONS) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(POST)
        await gated.entered.wait()
        writer.transport.abort()
        gated.gate.set()
        await site.server.stop()
    assert gated.finished == 1


async def test_a_failing_channel_refuses_in_its_own_words(service: SampleService) -> None:
    toy = ToyChannel(ROUTE)

    def fail() -> None:
        raise RuntimeError("planted")

    toy.before = fail
    async with running([toy], service.pipeline, service.journal, options=OPTIONS) as site:
        answer = await site.raw(POST.replace(b"abc", b"abc"), until=b"internal")
    assert answer.startswith(b"HTTP/1.1 418")
    assert toy.refusals[0].kind == "internal"


async def test_idle_connections_are_closed(service: SampleService) -> None:
    lane = ExpressLane(endpoints=ENDPOINTS, answer=_never, usual=asyncio.Protocol, idle_s=0.2)
    listener = await asyncio.get_running_loop().create_server(lane, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    await lane.stop(1)
    listener.close()


async def _never(_post: PlainPost, _peer: str) -> bytes:
    raise AssertionError("nobody asked")


async def test_broken_requests_get_a_problem_that_repeats_nothing(site: Running) -> None:
    for data in (
        b"POST /26195628630644869886" + b"9" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Code: 26195628630644869886" + b"9" * 9000 + b"\r\n\r\n",
        b"GET 26195628630644869886\r\n\r\n",
    ):
        answer = await site.raw(data)
        assert answer.startswith(b"HTTP/1.1 4"), answer
        assert b"application/problem+json" in answer
        assert b"2619562863" not in answer


async def test_a_resting_connection_may_bring_one_more_request_and_is_told_to_close(
    service: SampleService,
) -> None:
    options = replace(OPTIONS, patience_s=60)
    toy = ToyChannel(ROUTE)
    async with running([toy], service.pipeline, service.journal, options=options) as site:
        express = await asyncio.open_connection("127.0.0.1", site.server.port)
        usual = await asyncio.open_connection("127.0.0.1", site.server.port)
        usual[1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        await usual[0].readuntil(b"true}")
        stopping = asyncio.create_task(site.server.stop())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not stopping.done()
        express[1].write(POST)
        usual[1].write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(30):
            for reader, _ in (express, usual):
                answer = await reader.read()
                assert answer.startswith(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
            await stopping  # at once, because nobody is left to wait for
        for _, writer in (express, usual):
            writer.close()


async def test_one_listening_socket_serves_two_servers_and_outlives_each(service: SampleService) -> None:
    shared = socket.create_server(("127.0.0.1", 0))
    port = shared.getsockname()[1]
    async with running(
        [ToyChannel(ROUTE)], service.pipeline, service.journal, sockets=[_own(shared)]
    ) as first:
        assert first.server.port == port
        async with running(
            [ToyChannel(ROUTE)], service.pipeline, service.journal, sockets=[_own(shared)]
        ) as second:
            await first.server.stop()
            for _ in range(3):
                assert (await second.raw(POST, until=b"toy")).startswith(b"HTTP/1.1 200 OK\r\n")
    shared.close()


def _own(shared: socket.socket) -> socket.socket:
    """Return a descriptor of its own, as a worker inherits one."""
    own = shared.dup()
    own.setblocking(False)
    return own
