"""Calls to a real server on loopback that refuses, hangs, breaks off, dawdles and babbles."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from app.adapters.http import AiohttpCalls
from app.core.ports.http_calls import HttpAnswer, HttpCall, NotCalled, Unanswered

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def calls() -> AsyncIterator[AiohttpCalls]:
    calls = AiohttpCalls()
    yield calls
    await calls.close()


class Server:
    """A server that reads one request and then does what ``talk`` says; ``requests`` are the heads it read."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = ""
        self._open: set[asyncio.StreamWriter] = set()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
            self.requests.append(head + body)
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._open.discard(writer)
            writer.close()


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[Server]:
    server = Server(talk)
    listening = await asyncio.start_server(server.meet, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        for writer in server._open:
            writer.transport.abort()
        listening.close()


def saying(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def get(url: str, path: str = "/send") -> HttpCall:
    return HttpCall(method="GET", url=url + path)


async def test_an_answer_comes_back_and_the_call_goes_out_as_it_was_written(calls: AiohttpCalls) -> None:
    async with serving(
        saying(b"HTTP/1.1 202 Accepted\r\nContent-Length: 6\r\n\r\n\xe5\xa5\xbd\x00\xff!")
    ) as server:
        call = HttpCall(
            method="POST",
            url=server.url + "/a%2Fb?text=%E5%A5%BD%20x+y&n=1",
            headers=(("Content-Type", "application/json"), ("Authorization", "Basic eDp5")),
            body="内容".encode(),
        )
        assert await calls.call(call) == HttpAnswer(status=202, body=b"\xe5\xa5\xbd\x00\xff!")
        (request,) = server.requests
        head, body = request.split(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /a%2Fb?text=%E5%A5%BD%20x+y&n=1 HTTP/1.1"
        assert {b"Content-Type: application/json", b"Authorization: Basic eDp5"} <= set(lines)
        assert b"accept-encoding" not in head.lower()
        assert body == "内容".encode()


async def test_a_refused_connection_was_not_called(calls: AiohttpCalls) -> None:
    with socket.socket() as unheard:  # bound and never listening: nobody else can take the port meanwhile
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        assert await calls.call(get(url)) == NotCalled(why="connection")


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999/", "http://[::1", "http:///x"],
)
async def test_an_impossible_address_was_not_called(calls: AiohttpCalls, url: str) -> None:
    answer = await calls.call(HttpCall(method="GET", url=url))
    assert isinstance(answer, NotCalled)


async def test_a_header_that_would_become_two_was_not_sent(calls: AiohttpCalls) -> None:
    async with serving(hang) as server:
        call = HttpCall(method="GET", url=server.url, headers=(("X", "a\r\nY: b"),))
        answer = await calls.call(call, deadline_s=60)
        assert isinstance(answer, NotCalled | Unanswered)
        assert server.requests == []


async def test_a_name_that_means_nobody_was_not_called(
    calls: AiohttpCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)  # no question may leave the machine
    assert await calls.call(get("http://gateway.invalid")) == NotCalled(why="connection")


async def test_a_failed_handshake_was_not_called(calls: AiohttpCalls) -> None:
    async with serving(hang) as server:  # it does not speak TLS, so it never gets a request
        answer = await calls.call(get(server.url.replace("http:", "https:")), deadline_s=0.5)
        assert answer == NotCalled(why="deadline")
        assert server.requests == []

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        assert await calls.call(get(f"https://127.0.0.1:{port}")) == NotCalled(why="connection")


async def test_a_server_that_hangs_leaves_the_call_unanswered_in_time(calls: AiohttpCalls) -> None:
    async with serving(hang) as server:
        async with asyncio.timeout(8):
            assert await calls.call(get(server.url), deadline_s=1) == Unanswered(why="deadline")
        assert len(server.requests) == 1


async def test_a_slow_answer_counts_as_a_whole(calls: AiohttpCalls) -> None:
    async def dawdle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        left = asyncio.ensure_future(reader.read(1))
        while not left.done():  # a byte now and then: no pause is long, the whole is
            writer.write(b"x")
            await writer.drain()
            await asyncio.wait((left,), timeout=0.05)

    async with serving(dawdle) as server:
        assert await calls.call(get(server.url), deadline_s=1) == Unanswered(why="deadline")


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n",
        b"what is this\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_none_and_nothing_is_repeated(
    calls: AiohttpCalls, part: bytes
) -> None:
    async with serving(saying(part)) as server:
        for method in ("GET", "POST"):
            answer = await calls.call(HttpCall(method=method, url=server.url), deadline_s=60)
            assert answer == Unanswered(why="broken_off")
        assert len(server.requests) == 2


async def test_a_redirect_is_an_answer(calls: AiohttpCalls) -> None:
    async with serving(
        saying(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")
    ) as server:
        assert await calls.call(get(server.url)) == HttpAnswer(status=302)
        assert len(server.requests) == 1


async def test_a_huge_answer_is_cut(calls: AiohttpCalls) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")
        for _ in range(64):
            writer.write(bytes(65536))
            await writer.drain()

    async with serving(babble) as server:
        answer = await calls.call(get(server.url), deadline_s=60)
        assert answer == HttpAnswer(status=200, body=bytes(64 * 1024))


async def test_a_packed_answer_is_not_unpacked(calls: AiohttpCalls) -> None:
    packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nzzzz"
    async with serving(saying(packed)) as server:
        assert await calls.call(get(server.url)) == HttpAnswer(status=200, body=b"zzzz")


async def test_each_call_has_a_connection_of_its_own_and_many_run_at_once(calls: AiohttpCalls) -> None:
    async with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as server:
        answers = await asyncio.gather(*(calls.call(get(server.url), deadline_s=60) for _ in range(100)))
        assert answers == [HttpAnswer(status=200, body=b"ok")] * 100
        assert server.connections == 100


async def test_a_cancelled_call_ends_and_the_next_goes_on(calls: AiohttpCalls) -> None:
    async with serving(hang) as server:
        calling = asyncio.create_task(calls.call(get(server.url), deadline_s=100))
        while not server.requests:
            await asyncio.sleep(0)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        server.talk = saying(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert await calls.call(get(server.url)) == HttpAnswer(status=204)


async def test_closed_twice_and_unused_is_no_fault() -> None:
    calls = AiohttpCalls()
    await calls.close()
    async with serving(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        assert await calls.call(get(server.url)) == HttpAnswer(status=204)
        await calls.close()
        await calls.close()


def test_a_call_shows_no_address() -> None:
    call = HttpCall(method="GET", url="http://127.0.0.1/?to=13912345678", headers=(("Authorization", "x"),))
    assert repr(call) == "HttpCall(GET)"
