"""Text messages in a process of their own; prints JSON: CPU microseconds and wall microseconds a message.

`python -m tests.bench.message_runs adapters CODES COUNT`: each provider's adapter alone, ``COUNT`` texts.
`python -m tests.bench.message_runs whole DATA_DIR CODES COUNT ROUNDS`: whole messages and API verifications through one
pipeline, 64 at once, there and back again in each round, and replies through the outbox and the courier.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import Final

import uvloop

from app.adapters.identities import KeyedIdentities
from app.core.model.code import PRESET_LENGTHS
from channels.abilities import MessageChannel
from channels.base import InboundRequest, OutboundResponse
from channels.sms.smpp.bringing import TAKEN, Bringing
from channels.sms.smpp.wire import read_delivery
from tests.bench.measures import interleave
from tests.bench.message_samples import (
    PROVIDERS,
    Arrived,
    api_requests,
    arrived,
    bringing_of,
    context_of,
    messages,
    provider_adapters,
)
from tests.bench.message_service import MessageService, open_service
from tests.bench.serving import CONNECTIONS, cores

_REPLY: Final = "【验真】星河第2次查询，首次26-11-21网页。若非您本人查询，请慎用。举报4008001234"
Spent = dict[str, float]
Work = Callable[[], Awaitable[None]]


def main() -> None:
    """Run what the arguments ask for."""
    os.sched_setaffinity(0, {cores()[0]})
    kind, *words = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if kind == "adapters":
            codes, count = words
            print(json.dumps(runner.run(adapters_alone(_codes(codes), int(count)))))
        else:
            folder, codes, count, rounds = words
            print(json.dumps(_whole(runner, Path(folder), _codes(codes), int(count), int(rounds))))


def _codes(path: str) -> list[str]:
    return Path(path).read_text(encoding="ascii").split()


# -- adapters alone ----------------------------------------------------------------------------------------------


async def adapters_alone(codes: Sequence[str], count: int) -> dict[str, Spent]:
    """Return what authenticate, decode and say cost by provider, after a tenth as many texts for warming."""
    identities = KeyedIdentities(caller_key=token_bytes(32), result_key=token_bytes(32))
    context = context_of(identities, lambda: PRESET_LENGTHS)
    adapters = provider_adapters(context)
    spent = {}
    for provider in PROVIDERS:
        bringing = bringing_of(context)
        for start, number in ((0, max(count // 10, 50)), (count, count)):
            given = arrived(provider, messages(codes, start, number))
            work = partial(_translate, adapters[provider], bringing, given)
            spent[provider] = await timed(work, number)
    return spent


async def _translate(adapter: MessageChannel, bringing: Bringing, given: Sequence[Arrived]) -> None:
    """Put every request through the adapter; a unit of SMPP is read and brought first, as its link would."""

    async def answer(request: InboundRequest) -> OutboundResponse:
        return _answer(adapter, request)

    bringing.carry = answer
    for one in given:
        if isinstance(one, bytes):
            await _bring(bringing, one)
        else:
            _answer(adapter, one)


def _answer(adapter: MessageChannel, request: InboundRequest) -> OutboundResponse:
    adapter.authenticate(request)
    adapter.decode(request)
    return adapter.say(request, _REPLY)


# -- whole messages ----------------------------------------------------------------------------------------------


def _whole(
    runner: asyncio.Runner, folder: Path, codes: Sequence[str], count: int, rounds: int
) -> dict[str, list[list[Spent]]]:
    stack = AsyncExitStack()
    service = runner.run(stack.enter_async_context(open_service(folder)))
    asked = 0

    def run(kind: str, number: int = count) -> Spent:
        nonlocal asked
        if kind == "courier":
            return runner.run(timed(partial(service.reply, number), number))
        made = (api_requests if kind == "api" else partial(_texts, kind))(codes, asked, number)
        asked += number
        spent = runner.run(timed(partial(_carry_all, service, kind, made), number))
        runner.run(service.deliver())
        return spent

    kinds = ("api", *PROVIDERS, "courier")
    try:
        for kind in kinds:
            run(kind, max(count // 10, 50))
        made = interleave(rounds, {kind: partial(run, kind) for kind in kinds})
    finally:
        runner.run(stack.aclose())
    service.require_recorded(asked)
    return made


def _texts(provider: str, codes: Sequence[str], start: int, count: int) -> list[Arrived]:
    return arrived(provider, messages(codes, start, count))


async def _carry_all(service: MessageService, kind: str, given: Sequence[Arrived]) -> None:
    """Let 64 carry one request after the other. Raises ``RuntimeError`` for any that is not taken."""
    adapter = service.adapters[kind]
    service.bringing.carry = partial(service.pipeline.carry, adapter)
    queue = iter(given)

    async def client() -> None:
        for one in queue:
            if isinstance(one, bytes):
                await _bring(service.bringing, one)
                continue
            response = await service.pipeline.carry(adapter, one)
            if response.status != 200:
                raise RuntimeError(f"{kind} answered {response}")

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


async def _bring(bringing: Bringing, unit: bytes) -> None:
    acknowledgement = await bringing.bring(read_delivery(unit))
    if acknowledgement.status is not TAKEN:
        raise RuntimeError(f"a unit was acknowledged with {acknowledgement}")


async def timed(work: Work, count: int) -> Spent:
    """Return microseconds of CPU, all threads, and of the wall clock for each of ``count`` messages."""
    gc.collect()
    gc.freeze()
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / count * 1e6, "wall_us": wall / count * 1e6}


if __name__ == "__main__":
    main()
