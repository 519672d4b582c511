"""A message centre gone mad: the website goes on serving, and the service stops in time all the same."""

from __future__ import annotations

import asyncio
import os
import struct
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.cli.shell import Server, Shell
from tests.run_delay import run_delay_s

_PATIENCE_S = 60.0
_MOST_STOPPING_S = 30.0
_MOST_ANSWERING_S = 2.0
_MOST_GROWTH_KIB = 64 * 1024


@dataclass(frozen=True)
class _BoundShell(Shell):
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "YANZHEN_CHANNELS": "web,api,sms",
            "YANZHEN_DRAIN_SECONDS": "5",
            "YANZHEN_SMS__SMPP__HOST": "127.0.0.1",
            "YANZHEN_SMS__SMPP__PORT": str(self.port),
            "YANZHEN_SMS__SMPP__SYSTEM_ID": "yanzhen",
        }


def unit(command: int, sequence: int, body: bytes = b"") -> bytes:
    return struct.pack("!IIII", 16 + len(body), command, 0, sequence) + body


def first_part(sequence: int) -> bytes:
    """A first part of 255 whose rest never comes, from a number of its own, with a payload as large as units go."""
    source = b"\x01\x01" + f"86138{sequence % 10**8:08}".encode() + b"\0"
    head = b"\0" + source + b"\0\x0195001\0" + b"\x40\0\0\0\0\0\0\x08\0\0"
    payload = b"\x05\x00\x03" + bytes((sequence % 256, 255, 1)) + b"\x4e\x2d" * 60
    return unit(
        5,
        sequence,
        head + struct.pack("!HH", 0x0424, len(payload)) + payload + b"\x14\x00\x40\x00" + b"x" * 16384,
    )


def enquire(sequence: int) -> bytes:
    return unit(0x15, sequence)


def odd(sequence: int) -> bytes:
    return unit(
        (0x999, 0x80000004, 5, 0x06 if sequence % 4096 == 4095 else 0x103)[sequence % 4],
        0xFFFFFFFF,
        b"\xff" * 40,
    )


class MadCentre:
    """Takes a bind, then writes ``units`` and reads nothing, or what comes without looking at it."""

    def __init__(self, make: Callable[[int], bytes], *, reads: bool, units: int) -> None:
        self.sent = 0
        self._make = make
        self._reads = reads
        self._units = units
        self._enough = asyncio.Event()

    async def until_flooded(self) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await self._enough.wait()

    async def talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.CancelledError, asyncio.IncompleteReadError):
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            await reader.readexactly(length - 4)
            writer.write(unit(0x80000009, 1, b"mad\0"))
            drinking = asyncio.create_task(self._drink(reader)) if self._reads else None
            try:
                while self.sent < self._units:
                    self.sent += 1
                    writer.write(self._make(self.sent))
                    if self.sent % 64 == 0:
                        async with asyncio.timeout(_PATIENCE_S):
                            await writer.drain()
                self._enough.set()
                await writer.wait_closed()
            finally:
                if drinking is not None:
                    drinking.cancel()
                writer.close()

    async def _drink(self, reader: StreamReader) -> None:
        with suppress(OSError):
            while await reader.read(65536):
                pass


def resident_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(os.strerror(3))


def _delayed_s(server: Server) -> float:
    """How long this machine let the server and its client wait for a core."""
    return run_delay_s() + run_delay_s(server.process.pid)


@pytest.mark.parametrize(
    ("make", "reads", "units"),
    [(enquire, False, 100_000), (first_part, True, 4_000), (odd, True, 20_000)],
    ids=["signs of life", "first parts", "odd units"],
)
async def test_a_mad_message_centre_disturbs_nobody_else(
    tmp_path: Path, make: Callable[[int], bytes], *, reads: bool, units: int
) -> None:
    centre = MadCentre(make, reads=reads, units=units)
    listening = await asyncio.start_server(centre.talk, "127.0.0.1", 0)
    shell = _BoundShell(tmp_path / "data", port=listening.sockets[0].getsockname()[1])
    await asyncio.to_thread(shell.run, "init")
    running = shell.serving()
    server = await asyncio.to_thread(running.__enter__)
    try:
        before = resident_kib(server.process.pid)
        flooded = asyncio.create_task(centre.until_flooded())
        for _ in range(20):
            began, delayed = time.monotonic(), _delayed_s(server)
            status, _ = await asyncio.to_thread(server.get, "/")
            assert status == 200
            assert time.monotonic() - began - (_delayed_s(server) - delayed) < _MOST_ANSWERING_S
        await flooded
        assert resident_kib(server.process.pid) - before < _MOST_GROWTH_KIB
    finally:
        stopping = time.monotonic()
        await asyncio.to_thread(running.__exit__, None, None, None)
        listening.close()
    assert time.monotonic() - stopping < _MOST_STOPPING_S
    assert "Traceback" not in server.log.read_text()
