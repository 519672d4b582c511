"""Turns of calls in a process of their own, through the one pipeline without HTTP; prints JSON.

`python -m tests.bench.call_runs DATA_DIR CODES COUNT ROUNDS`: CPU and wall microseconds a turn, 64 at once, there and
back again in each round, and the slowest turn in seconds where ``BURST`` callers key their codes in at one moment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import uvloop

from app.adapters.identities import KeyedIdentities
from app.issuing.key_file import KeyFile
from app.issuing.keyring import SecretName
from channels.base import ChannelAdapter, InboundRequest
from channels.ivr.adapter import IvrAdapter
from channels.ivr.settings import IvrSettings, TwilioVoiceOptions
from channels.ivr.states import State, StateName
from channels.ivr.twilio.dialect import TwilioVoiceDialect
from channels.ivr.twilio.simulate import signed_webhook
from channels.ivr.twilio.webhooks import CALLS, TURNS
from tests.bench.measures import interleave
from tests.bench.message_runs import Spent, timed
from tests.bench.message_samples import api_requests, context_of
from tests.bench.message_service import MessageService, open_service
from tests.bench.serving import CONNECTIONS, cores
from tests.fakes.fake_clips import FakeClips
from tests.fakes.fake_spending import FakeSpending

BURST: Final = 2000
KINDS: Final = ("api", "greeting", "code")
_LENGTH: Final = 20
_OPTIONS: Final = TwilioVoiceOptions(auth_tokens=("0123456789abcdef" * 2,))
_OURS: Final = "+861069000001"
_MENU: Final = b'numDigits="1"'


class Calls:
    """Makes the adapter and the requests of calls, each from another number."""

    def __init__(self, folder: Path) -> None:
        ring = KeyFile(folder / "keys.json").load()
        self._identities = KeyedIdentities(
            caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
        )
        context = context_of(self._identities, lambda: frozenset({_LENGTH}))
        settings = IvrSettings(
            spending=FakeSpending(), clips=FakeClips(), operator="+8675588880000", twilio=_OPTIONS
        )
        self.adapter = IvrAdapter(TwilioVoiceDialect(settings, context.public_url), context, settings)
        self._public_url = context.public_url

    def greetings(self, _: Sequence[str], start: int, count: int) -> list[InboundRequest]:
        """Return the beginnings of calls ``start`` to ``start + count``."""
        return [
            self._request(serial, CALLS.path, CALLS.path, {}, {}) for serial in range(start, start + count)
        ]

    def codes(self, codes: Sequence[str], start: int, count: int) -> list[InboundRequest]:
        """Return the turns in which these calls key a code in."""
        made = []
        for serial in range(start, start + count):
            about = f"twilio/{_sid(serial)}"
            token = self._identities.seal_state(State(name=StateName.ENTRY).to_bytes(), about=about)
            parts = {"most": str(_LENGTH), "state": token}
            keyed = {"Digits": codes[serial % len(codes)], "FinishedOnKey": "", "msg": "Gather End"}
            made.append(self._request(serial, TURNS.path, TURNS.path.format(**parts), parts, keyed))
        return made

    def _request(
        self, serial: int, route: str, path: str, parts: dict[str, str], fields: dict[str, str]
    ) -> InboundRequest:
        caller = f"+86139{serial * 7919 % 10**8:08d}"
        _, headers, body = signed_webhook(
            _OPTIONS, self._public_url, path, call_sid=_sid(serial), caller=caller, ours=_OURS, fields=fields
        )
        return InboundRequest(
            method="POST",
            route=route,
            path=path,
            parts=parts,
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
            remote="127.0.0.1",
            received_at=datetime.now(UTC),
        )


def main() -> None:
    """Run what the arguments ask for."""
    os.sched_setaffinity(0, {cores()[0]})
    folder, codes, count, rounds = sys.argv[1:]
    digits = Path(codes).read_text(encoding="ascii").split()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(measure(runner, Path(folder), digits, int(count), int(rounds))))


def measure(
    runner: asyncio.Runner, folder: Path, codes: Sequence[str], count: int, rounds: int
) -> dict[str, list[list[Spent]] | float]:
    """Return the cost of each of `KINDS`, and the slowest turn of a burst as ``slowest_s``."""
    stack = AsyncExitStack()
    service = runner.run(stack.enter_async_context(open_service(folder)))
    calls = Calls(folder)
    makers: dict[str, Callable[[Sequence[str], int, int], Any]] = {
        "api": api_requests,
        "greeting": calls.greetings,
        "code": calls.codes,
    }
    asked = recorded = 0

    def run(kind: str, number: int = count) -> Spent:
        nonlocal asked, recorded
        made = makers[kind](codes, asked, number)
        asked += number
        recorded += number if kind != "greeting" else 0
        adapter = service.adapters["api"] if kind == "api" else calls.adapter
        return runner.run(timed(partial(carry_all, service, adapter, made, kind), number))

    try:
        for kind in KINDS:
            run(kind, max(count // 10, 50))
        spent = interleave(rounds, {kind: partial(run, kind) for kind in KINDS})
        slowest = runner.run(burst(service, calls.adapter, calls.codes(codes, asked, BURST)))
        recorded += BURST
    finally:
        runner.run(stack.aclose())
    service.require_recorded(recorded)
    return {**spent, "slowest_s": slowest}


async def carry_all(
    service: MessageService, adapter: ChannelAdapter, given: Sequence[InboundRequest], kind: str
) -> None:
    """Let 64 carry one request after the other. Raises ``RuntimeError`` for any that is not answered as it must be."""
    queue = iter(given)

    async def client() -> None:
        for one in queue:
            await carry(service, adapter, one, kind)

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


async def carry(service: MessageService, adapter: ChannelAdapter, one: InboundRequest, kind: str) -> float:
    """Return the seconds that one request takes. Raises ``RuntimeError`` for a wrong answer."""
    begun = time.perf_counter()
    response = await service.pipeline.carry(adapter, one)
    if response.status != 200 or (kind == "code" and _MENU not in response.body):
        raise RuntimeError(f"{kind} was answered with {response}")
    return time.perf_counter() - begun


async def burst(service: MessageService, adapter: ChannelAdapter, given: Sequence[InboundRequest]) -> float:
    """Return the seconds of the slowest of turns that all come at one moment."""
    return max(await asyncio.gather(*(carry(service, adapter, one, "code") for one in given)))


def _sid(serial: int) -> str:
    return "CA" + sha256(str(serial).encode()).hexdigest()[:32]


if __name__ == "__main__":
    main()
