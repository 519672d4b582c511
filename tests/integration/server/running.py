"""A server on a free port of the loopback, over the sample service or a toy channel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

from app.adapters.clock import SystemClock
from app.web.health import Check, Health
from app.web.server import ServerOptions, WebServer
from channels.base import ChannelAdapter
from channels.pipeline import Pipeline
from tests.fakes.recording_journal import RecordingJournal

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    server: WebServer
    journal: RecordingJournal

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def raw(self, data: bytes, *, until: bytes | None = None) -> bytes:
        """Send bytes on a connection of their own; return what comes until the end, or until ``until`` was seen."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(data)
        received = b""
        try:
            async with asyncio.timeout(60):
                while chunk := await reader.read(65536):
                    received += chunk
                    if until is not None and until in received:
                        break
        finally:
            writer.close()
        return received


@asynccontextmanager
async def running(
    adapters: Iterable[ChannelAdapter],
    pipeline: Pipeline,
    journal: RecordingJournal,
    *,
    checks: dict[str, Check] | None = None,
    options: ServerOptions | None = None,
    static_folders: Iterable[Path] = (),
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[Running]:
    base = options or ServerOptions(public_url="https://verify.example", metrics_from=LOOPBACK, drain_s=5)
    clock = SystemClock()
    server = WebServer(
        adapters,
        pipeline,
        clock=clock,
        journal=journal,
        health=Health(checks or {}, clock=clock, journal=journal, fresh_s=0),
        metrics=lambda: b"numbers 1\n",
        options=replace(base, port=0),
        static_folders=static_folders,
    )
    await server.start(sockets)
    try:
        yield Running(server=server, journal=journal)
    finally:
        await server.stop()
