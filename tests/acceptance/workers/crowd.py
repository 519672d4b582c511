"""Clients that keep their connections and ask without a pause, and remember every answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Self

_TRIES = 200
_LATE_S = 1.0  # a service that puts somebody off because time ran out has let at least so much of it pass


@dataclass(frozen=True)
class Answer:
    """One verdict that arrived: of which question (its idempotency key), with which status, the bytes of its body."""

    key: str
    code: str
    status: int
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Lost(Exception):
    """A connection ended although a question stood on it."""


class Closed(Exception):
    """Nobody listens any more, or nobody took the connection before the listening ended."""


class Client:
    """One client on one connection; ``politely`` counts the connections that the server asked it to close."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.politely = 0

    async def ask(self, code: str, key: str) -> Answer:
        """Raises ``Lost`` where no answer came; what was asked may then be recorded or not."""
        body = json.dumps({"code": code}).encode()
        head = (
            "POST /api/v1/verifications HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        status, answer = await self._exchange(head.encode() + body)
        return Answer(key, code, status, answer)

    async def get(self, path: str) -> tuple[int, bytes]:
        return await self._exchange(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        fresh = self._streams is None
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:
                raise Closed from error
        reader, writer = self._streams
        try:
            async with asyncio.timeout(30):
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                body = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise (Closed if fresh and isinstance(error, ConnectionError) else Lost) from error
        if "connection: close" in head:
            self.politely += 1
            self.close()
        return int(head.split(" ", 2)[1]), body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Crowd:
    """``size`` clients that ask ``codes`` in turn until :meth:`leave`.

    ``patient`` ones ask again, under the same key, where an answer was lost; for others that is a failure. All do so
    where a busy machine let the deadline pass, which ``put_off`` counts; a service that puts off at once fails. Where
    ``ends`` is set, a client goes once nobody listens any more. With ``renews_after`` a client connects anew after so
    many answers, so that every worker gets some: who is busy takes no connections.
    """

    port: int
    codes: list[str]
    size: int
    name: str
    patient: bool = False
    ends: bool = False
    renews_after: int = 0
    answers: list[Answer] = field(default_factory=list)
    lost: int = 0
    put_off: int = 0
    politely: int = 0

    async def __aenter__(self) -> Self:
        self._leaving = asyncio.Event()
        self._enough = asyncio.Event()
        self._tasks = [asyncio.create_task(self._live(number)) for number in range(self.size)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leaving.set()
        await asyncio.gather(*self._tasks)

    async def until_answered(self, more: int) -> None:
        """Wait for so many more answers."""
        goal = len(self.answers) + more
        async with asyncio.timeout(60):
            while len(self.answers) < goal:
                self._enough.clear()
                await self._enough.wait()

    async def _live(self, number: int) -> None:
        client = Client(self.port)
        codes: Iterator[str] = cycle(
            self.codes[number % len(self.codes) :] + self.codes[: number % len(self.codes)]
        )
        count = 0
        while not self._leaving.is_set():
            count += 1
            try:
                answer = await self._ask(client, next(codes), f"{self.name}-{number}-{count}")
            except Closed:
                if not self.ends:
                    raise
                break
            self.answers.append(answer)
            self._enough.set()
            if self.renews_after and count % self.renews_after == 0:
                client.close()
        self.politely += client.politely
        client.close()

    async def _ask(self, client: Client, code: str, key: str) -> Answer:
        for _ in range(_TRIES):
            asked_s = time.monotonic()
            try:
                answer = await client.ask(code, key)
                if answer.status != 503:
                    return answer
                assert time.monotonic() - asked_s > _LATE_S, answer
                self.put_off += 1
            except Closed:
                if not self.patient:
                    raise
            except Lost:
                self.lost += 1
                if not self.patient:
                    raise
        raise AssertionError("nobody answers")


def prove_one_history(answers: list[Answer]) -> None:
    """Every answer is a verdict, and the ordinals of each label are those of one history: unique and without a gap."""
    assert {answer.status for answer in answers} == {200}
    ordinals: dict[str, list[int]] = {}
    for answer in answers:
        assert answer.document["outcome"] in ("first", "repeat", "over_limit")
        ordinals.setdefault(answer.code, []).append(answer.document["ordinal"])
        assert (answer.document["outcome"] == "first") == (answer.document["ordinal"] == 1)
    for counted in ordinals.values():
        assert sorted(counted) == list(range(1, len(counted) + 1)), Counter(counted).most_common(3)
