"""Connections taken one by one from a socket that several processes share."""

import asyncio
import errno
import socket
from collections.abc import Iterator

import pytest

from app.web.accepting import Acceptor


class Welcome(asyncio.Protocol):
    """Says hello and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        peer = transport.get_extra_info("peername")
        transport.write(f"hello {peer[0]}".encode())
        transport.close()


class Crowded(socket.socket):
    """A listening socket whose process has no descriptor free for some times."""

    refusals = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.fixture
def listening() -> Iterator[Crowded]:
    with Crowded(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(100)
        sock.setblocking(False)
        yield sock


async def greeted(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


async def test_everybody_who_waits_is_taken(listening: Crowded) -> None:
    acceptor = Acceptor(listening, Welcome)
    assert set(await asyncio.gather(*(greeted(acceptor.port) for _ in range(50)))) == {b"hello 127.0.0.1"}
    await acceptor.close()
    assert listening.fileno() == -1


async def test_two_that_share_a_socket_both_take_some(listening: Crowded) -> None:
    taken = [0, 0]

    def counting(index: int) -> asyncio.Protocol:
        taken[index] += 1
        return Welcome()

    other = listening.dup()
    other.setblocking(False)
    acceptors = [Acceptor(listening, lambda: counting(0)), Acceptor(other, lambda: counting(1))]
    await asyncio.gather(*(greeted(acceptors[0].port) for _ in range(50)))
    assert sum(taken) == 50
    assert min(taken) > 10
    await acceptors[0].close()
    assert await greeted(acceptors[1].port) == b"hello 127.0.0.1"
    await acceptors[1].close()


async def test_without_a_free_descriptor_those_who_wait_are_taken_later(listening: Crowded) -> None:
    listening.refusals = 2
    acceptor = Acceptor(listening, Welcome, pause_s=0.02)
    assert await greeted(acceptor.port) == b"hello 127.0.0.1"
    assert listening.refusals == 0
    await acceptor.close()
