"""The load generator where wrk is not installed: 64 closed-loop connections, bounded by time. Prints JSON.

`python -m tests.bench.raw_client PORT CODES_FILE OFFSET SECONDS CONNECTIONS`. One core of it ends at a rate of its own,
which the report states; above that only CPU per request tells servers apart.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Final, cast

import uvloop

_HEAD: Final = (
    "POST /api/v1/verifications HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Content-Length: %d\r\n\r\n%s"
)
_LENGTH: Final = b"content-length:"


class _Connection(asyncio.Protocol):
    """Sends the next request when the last answer is whole."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, not a subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        start = head.find(_LENGTH) + len(_LENGTH)
        if len(self._received) < end + 4 + int(head[start:].split(b"\r\n", 1)[0]):
            return
        self._load.note(time.perf_counter() - self._sent_at, good=head.startswith(b"http/1.1 200"))
        self._received = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.over():
            self._load.wrong += 1

    def _send(self) -> None:
        assert self._transport is not None
        if self._load.over():
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._load.requests))


class _Load:
    def __init__(self, codes: list[str], offset: int, seconds: float) -> None:
        bodies = [json.dumps({"code": code, "locale": "zh-CN"}) for code in codes]
        made = [(_HEAD % (len(body), body)).encode() for body in bodies]
        self.requests = islice(cycle(made), offset % len(made), None)
        self.wrong = 0
        self.latencies: list[float] = []
        self._ends_at = time.perf_counter() + seconds

    def over(self) -> bool:
        return time.perf_counter() >= self._ends_at

    def note(self, seconds: float, *, good: bool) -> None:
        self.latencies.append(seconds)
        self.wrong += not good


async def _run(port: int, path: Path, offset: int, seconds: int, connections: int) -> None:
    load = _Load(path.read_text().split(), offset, seconds)
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
    await asyncio.sleep(seconds)
    took, latencies = time.perf_counter() - started, sorted(load.latencies)
    figures = {
        "requests": len(latencies),
        "seconds": took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
        "wrong": load.wrong,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    _port, _path, _offset, _seconds, _connections = sys.argv[1:]
    uvloop.run(_run(int(_port), Path(_path), int(_offset), int(_seconds), int(_connections)))
