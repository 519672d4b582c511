"""The express lane: plain POSTs of exact addresses, answered without aiohttp's request machinery, which costs as much
as the verification itself. Anything unusual hands the connection to aiohttp, whole and for good.

Only a request that needs no interpretation is taken: one packet, HTTP/1.1, ASCII head, plain header names, each once,
a ``Content-Length`` that fits exactly, no ``Expect``, ``Upgrade`` or ``Transfer-Encoding`` (RFC 9112).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from app.core.model.value import value
from app.web.routing import Endpoint

_HEAD_MOST: Final = 8190
_WAITING_MOST: Final = 65536
_END_OF_HEAD: Final = b"\r\n\r\n"
# Every header line of a head that needs no interpretation; a bare CR or LF, a control character or a folded
# line matches nothing.
_HEADER: Final = re.compile(r"([A-Za-z0-9-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*")
# the last is refused by aiohttp itself, as of a protocol that came before WebSocket
_NEVER: Final = frozenset(
    {"transfer-encoding", "expect", "upgrade", "te", "trailer", "content-encoding", "sec-websocket-key1"}
)


@value
class PlainPost:
    """One request taken: where it goes, its headers by lower-case name, its body."""

    endpoint: Endpoint
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[PlainPost, str], Awaitable[bytes]]


def read_plain_post(data: bytes, endpoints: Mapping[str, Endpoint]) -> PlainPost | None:
    """Return the request that ``data`` is, exactly and whole, or None where that takes more than a look.

    ``endpoints`` are keyed by the whole request line.
    """
    end = data.find(_END_OF_HEAD, 0, _HEAD_MOST)
    if end < 0 or not data.startswith(b"POST "):
        return None
    head = data[:end]
    if not head.isascii():
        return None
    lines = head.decode("ascii").split("\r\n")
    endpoint = endpoints.get(lines[0])
    if endpoint is None:
        return None
    headers: dict[str, str] = {}
    for line in lines[1:]:
        match = _HEADER.fullmatch(line)
        if match is None:
            return None
        name = match[1].lower()
        if name in headers or name in _NEVER:
            return None
        headers[name] = match[2] or ""
    length = headers.get("content-length", "")
    if (
        not (length.isdigit() and len(length) <= 6)
        or headers.get("connection", "keep-alive").lower() != "keep-alive"
    ):
        return None
    size = int(length)
    if "host" not in headers or size > endpoint.route.max_body_bytes or len(data) != end + 4 + size:
        return None
    return PlainPost(endpoint=endpoint, headers=headers, body=data[end + 4 :])


def with_close(response: bytes) -> bytes:
    """Return a whole response with ``Connection: close`` (RFC 9112, section 9.6) after its status line."""
    return response.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


class ExpressLane:
    """Makes a protocol for each connection, closes idle ones, and waits for those under way at the stop.

    ``answer`` returns the whole response for a request and the peer's address; ``usual`` makes aiohttp's protocol.
    """

    def __init__(
        self,
        *,
        endpoints: Mapping[str, Endpoint],
        answer: Answer,
        usual: Callable[[], asyncio.Protocol],
        idle_s: float,
    ) -> None:
        self.endpoints = endpoints
        self.answer = answer
        self.usual = usual
        self._idle_s = idle_s
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.draining = False

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of one new connection."""
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        return _Connection(self)

    @property
    def connections(self) -> int:
        """How many connections are open here, those handed over not counted."""
        return len(self._connections)

    def begin_to_drain(self) -> None:
        """Let each answer from now on be the last of its connection, and say so in its head."""
        self.draining = True

    async def stop(self, within_s: float) -> None:
        """Close what is idle, let what is under way finish within ``within_s``, close the rest."""
        self.draining = True
        for connection in tuple(self._connections):
            connection.close_if_idle()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for connection in tuple(self._connections):
            connection.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def opened(self, connection: _Connection) -> None:
        """Count a connection."""
        self._connections.add(connection)

    def left(self, connection: _Connection) -> None:
        """Forget a connection that was closed or handed over."""
        self._connections.discard(connection)

    def run(self, answering: Awaitable[None]) -> None:
        """Answer in a task of its own, kept until it is done."""
        task = asyncio.ensure_future(answering)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._idle_s / 8)
            before = loop.time() - self._idle_s
            for connection in tuple(self._connections):
                if connection.idle_since < before:
                    connection.close_if_idle()


class _Connection(asyncio.Protocol):
    """One connection while it holds nothing but plain POSTs, one at a time."""

    __slots__ = ("_busy", "_lane", "_loop", "_paused", "_peer", "_transport", "_waiting", "idle_since")

    def __init__(self, lane: ExpressLane) -> None:
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._busy = False
        self._paused = False
        self._waiting = b""
        self.idle_since = self._loop.time()

    # -- what the event loop calls ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where the connection comes from."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by duck typing only
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._lane.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; an answer under way still commits."""
        self._transport = None
        self._lane.left(self)

    def data_received(self, data: bytes) -> None:
        """Take a plain POST, keep what comes while one is answered, hand anything else over."""
        if self._busy:
            self._waiting += data
            if len(self._waiting) > _WAITING_MOST and self._transport is not None:
                self._transport.pause_reading()
            return
        post = read_plain_post(data, self._lane.endpoints)
        if post is None:
            self._hand_over(data)
            return
        self._busy = True
        self._lane.run(self._answer(post))

    def pause_writing(self) -> None:
        """The client reads slower than we answer: take nothing more from it."""
        self._paused = True

    def resume_writing(self) -> None:
        """The client caught up."""
        self._paused = False
        if not self._busy:
            self._go_on()

    # -- what happens then -----------------------------------------------------------------------------------

    async def _answer(self, post: PlainPost) -> None:
        response = await self._lane.answer(post, self._peer)
        self._busy = False
        self.idle_since = self._loop.time()
        if self._transport is None:
            return
        if self._lane.draining:
            self._transport.write(with_close(response))
            self._transport.close()
            return
        self._transport.write(response)
        if self._waiting:
            self._go_on()

    def _go_on(self) -> None:
        """Take what came while the connection was busy, unless the client does not read."""
        if self._paused or self._transport is None or not self._waiting:
            return
        data, self._waiting = self._waiting, b""
        self._transport.resume_reading()
        self.data_received(data)

    def _hand_over(self, data: bytes) -> None:
        """Give the connection, with what was read of it, to aiohttp."""
        transport = self._transport
        if transport is None:
            return
        self._lane.left(self)
        usual = self._lane.usual()
        self._transport = None
        transport.set_protocol(usual)
        usual.connection_made(transport)
        usual.data_received(data)

    def close_if_idle(self) -> None:
        """Close the connection unless a request is under way."""
        if not self._busy:
            self.close()

    def close(self) -> None:
        """Close the connection after what was written."""
        if self._transport is not None:
            self._transport.close()
