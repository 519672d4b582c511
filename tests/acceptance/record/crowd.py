"""A crowd of shoppers: keep-alive connections that ask the JSON API as fast as it answers, and note what they heard.

Run as a module it is a process of its own: ``python -m tests.acceptance.record.crowd PORT CONNECTIONS QUERIES CODE...``
prints one line a verdict: code index, ordinal, start and end in nanoseconds of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PATH: Final = "/api/v1/verifications"
_END_OF_HEAD: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query; ``key`` is its Idempotency-Key, empty for none."""

    code: str
    key: str = ""

    def wire(self) -> bytes:
        body = f'{{"code":"{self.code}"}}'
        key = f"Idempotency-Key: {self.key}\r\n" if self.key else ""
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{key}"
        return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came back, whole: ``body`` is the JSON of a verdict or of a problem."""

    question: Question
    status: int
    body: bytes
    started_ns: int
    ended_ns: int

    @property
    def ordinal(self) -> int:
        assert self.status == 200, self.body
        ordinal = json.loads(self.body)["ordinal"]
        assert isinstance(ordinal, int), self.body
        return ordinal


class _Connection(asyncio.Protocol):
    """Asks the next question when the last is answered; ``lost`` is set when nothing more will come."""

    def __init__(self, next_question: Callable[[], Question | None], hear: Callable[[Heard], None]) -> None:
        self._next, self._hear = next_question, hear
        self._received = bytearray()
        self.asked: Question | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(_END_OF_HEAD)
        if head < 0:
            return
        lines = bytes(self._received[:head]).split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
        start = head + len(_END_OF_HEAD)
        if len(self._received) < start + length:
            return
        ended_ns = time.monotonic_ns()
        body = bytes(self._received[start : start + length])
        del self._received[: start + length]
        question, self.asked = self.asked, None
        assert question is not None
        status = int(lines[0].split()[1])
        self._hear(
            Heard(question=question, status=status, body=body, started_ns=self._started_ns, ended_ns=ended_ns)
        )
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def _ask(self) -> None:
        self.asked = self._next()
        if self.asked is None:
            self._transport.close()
            return
        self._started_ns = time.monotonic_ns()
        self._transport.write(self.asked.wire())


async def ask_all(
    port: int, connections: int, next_question: Callable[[], Question | None], hear: Callable[[Heard], None]
) -> list[Question]:
    """Ask until ``next_question`` returns None or the server is gone; return the questions left unanswered."""
    loop = asyncio.get_running_loop()
    crowd = []
    for _ in range(connections):
        try:
            _, one = await loop.create_connection(lambda: _Connection(next_question, hear), "127.0.0.1", port)
        except OSError:
            break  # killed before all had come
        crowd.append(one)
    for one in crowd:
        await one.lost.wait()
    return [one.asked for one in crowd if one.asked is not None]


def _main() -> None:
    port, connections, queries, *codes = sys.argv[1:]
    left = iter(range(int(queries)))
    index = {code: number for number, code in enumerate(codes)}
    heard: list[Heard] = []

    def next_question() -> Question | None:
        number = next(left, None)
        return None if number is None else Question(code=codes[number % len(codes)])

    unanswered = asyncio.run(ask_all(int(port), int(connections), next_question, heard.append))
    assert not unanswered
    for one in heard:
        if one.status != 503:  # too late an answer on a busy machine; recorded all the same
            print(index[one.question.code], one.ordinal, one.started_ns, one.ended_ns)  # noqa: T201


if __name__ == "__main__":
    _main()
