"""A network between the product and a server that can fail in the ways networks do, on demand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum


class Fault(Enum):
    NONE = "none"
    CUT = "cut"  # connections are reset, new ones too
    HOLE = "hole"  # connections stand, and nothing passes
    SLOW = "slow"  # answers take delay_s longer


async def after(seconds: float) -> None:
    """Return when that much of a fault's script has passed."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, passed.set)
    await passed.wait()


class Relay:
    """Passes bytes to ``port`` on loopback. Setting a fault holds for connections that stand as for new ones."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.delay_s = 1.0
        self._target = port
        self._fault = Fault.NONE
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.HOLE:
            self._open.clear()
        else:
            self._open.set()
        if fault is Fault.CUT:
            for writer in self._writers:
                writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if self._fault is Fault.CUT:
                writer.transport.abort()
                return
            await self._open.wait()
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(ours)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, ours))
                group.create_task(self._pass(theirs, writer, answers=True))
            self._writers.discard(ours)
        except (OSError, ExceptionGroup):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()  # the end of the test; streams would report a cancellation as an error
        finally:
            self._writers.discard(writer)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                if answers and self._fault is Fault.SLOW:
                    await after(self.delay_s)
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def relay_to(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    relay = Relay(port)
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0, ssl=tls)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        relay.end()
        tasks = tuple(relay._tasks)
        if tasks:
            with suppress(TimeoutError):
                await asyncio.wait(tasks, timeout=2)
        await server.wait_closed()
