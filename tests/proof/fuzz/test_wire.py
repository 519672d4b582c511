"""Octets on the socket of the real server with every channel of HTTP: any bytes get a whole answer or a closed door,
never an error of ours, and no traceback in the log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest

from app.web.server import ServerOptions
from tests.conftest import Budget
from tests.contract.channel.bindings import BINDINGS
from tests.fakes.sample_service import start_sample_service
from tests.integration.server.running import LOOPBACK, Running, running
from tests.proof.fuzz.engine import Parser, mutate
from tests.proof.fuzz.parsers_channels import WORDS, seeds_of
from tests.proof.harness import Prove

_CONNECTIONS = {"short": 500, "long": 25_000}
_AT_ONCE = 8
_LOOK_S = 0.02
_LAST = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
_CHANNELS = (
    "WebBinding",
    "ApiBinding",
    "TwilioVoiceBinding",
    "TwilioBinding",
    "KannelBinding",
    "GatewayBinding",
    "OfficialEncryptedBinding",
    "MiniProgramApiBinding",
)
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n(?:[!-9;-~]+: [^\r\n]*\r\n)*\r\n", re.DOTALL)
_STATUSES = frozenset({200, 204, 303, 304, 400, 401, 403, 404, 405, 413, 415, 422, 429})
_HEADS = (
    b"\r\nContent-Length: 0",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\nExpect: 100-continue",
    b"\r\nConnection: upgrade",
    b"\r\nUpgrade: websocket",
    b"\r\nHost: y",
    b" HTTP/1.0",
    b" HTTP/1.1",
    b" HTTP/2",
    b"\r\n\r\n",
    b"\r\n ",
    b"0\r\n\r\n",
    b"5\r\nabcde\r\n",
    b"HEAD ",
    b"OPTIONS * ",
    b"CONNECT a:1 ",
    b"GET http://[::1/",
    b"%",
    b"%00",
    b"//",
    b"/../",
    b"Cookie: lang=\xff",
    b"Accept-Language: \xff",
    b"X-Forwarded-For: ",
)


def on_the_wire(seed: bytes) -> bytes:
    """Return a request of the parsers as it goes over a connection."""
    head, _, body = seed.partition(b"\r\n\r\n")
    first, separator, rest = head.partition(b"\r\n")
    length = b"" if first.startswith(b"GET") else b"\r\nContent-Length: %d" % len(body)
    return first + b" HTTP/1.1\r\nHost: verify.example" + length + separator + rest + b"\r\n\r\n" + body


@asynccontextmanager
async def every_channel() -> AsyncIterator[tuple[Running, Parser]]:
    service = await start_sample_service()
    adapters, seeds, words = [], [], list(_HEADS)
    for channel, kinds in BINDINGS.items():
        for kind in kinds:
            if kind.__name__ in _CHANNELS:
                binding = kind()
                adapters.append(binding.adapter(service.context))
                seeds += [on_the_wire(seed) for seed in seeds_of(binding)]
                words += WORDS[channel]
    options = ServerOptions(
        public_url="https://verify.example",
        metrics_from=(),
        trusted_proxies=LOOPBACK,
        drain_s=5,
        body_deadline_s=0.2,
    )
    parser = Parser(name="wire", feed=len, seeds=tuple(dict.fromkeys(seeds)), words=tuple(words))
    try:
        async with running(adapters, service.pipeline, service.journal, options=options) as site:
            yield site, parser
    finally:
        await service.engine.close()


async def exchange(port: int, data: bytes) -> bytes:
    """Send octets, then a last request; return what comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = b""
    try:
        writer.write(data)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                answers = await reader.read(65536)
        writer.write(_LAST)
        async with asyncio.timeout(60):
            return answers + await reader.read()
    except ConnectionError:  # closed while we still sent
        return answers
    finally:
        writer.close()


def statuses_of(answers: bytes) -> list[int]:
    """Return the status of every answer on one connection; a body may hold no second head of ours."""
    found, at = [], 0
    while match := _ANSWER.search(answers, at):
        found.append(int(match[1]))
        at = match.end()
    return found


@pytest.mark.timeout(7200)
async def test_any_octets_get_an_honest_answer(
    prove: Prove, budget: Budget, caplog: pytest.LogCaptureFixture
) -> None:
    random, statuses, strange = Random(7), Counter[int](), []
    async with every_channel() as (site, parser):
        inputs = [*parser.seeds, *(mutate(random, parser, parser.seeds) for _ in range(_CONNECTIONS[budget]))]
        room = asyncio.Semaphore(_AT_ONCE)

        async def try_one(data: bytes) -> None:
            async with room:
                answers = await exchange(site.server.port, data)
            found = statuses_of(answers)
            statuses.update(found)
            if (answers and not found) or not _STATUSES.issuperset(found):
                strange.append((data, answers[:300]))

        await asyncio.gather(*(try_one(data) for data in inputs))
        failures = site.journal.failures
        alive = await exchange(
            site.server.port, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
    assert strange == []
    assert failures == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert statuses_of(alive) == [200]
    assert statuses[200] > 20
    assert statuses[400] > 20
    prove(
        "fuzz",
        breaches={"server_errors": len(failures), "undocumented": len(strange)},
        connections=len(inputs),
    )
