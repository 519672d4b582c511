"""Asterisk's side of FastAGI for tests: it executes commands as the recordings show, with a caller who presses keys.

Never sleeps: prompts and waits are over at once, in the order a caller would live them.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_network

from app.adapters.clock import SystemClock
from channels.base import InboundRequest, OutboundResponse
from channels.ivr.fastagi.call import ENDS
from channels.ivr.fastagi.pace import Pace
from channels.ivr.fastagi.server import FastAgiListener
from channels.ivr.settings import FastAgiOptions
from tests.integration.ivr.fastagi.recordings import block_of

DEADLINE_S = 60.0
TOKEN = "token"
DEAD = "511 Command Not Permitted on a dead channel or intercept routine"
WORKS_WHEN_DEAD = ("NOOP", "VERBOSE", "GET VARIABLE", "GET FULL VARIABLE", "SET VARIABLE", "EXEC NoOp")
USAGE = (
    "520-Invalid command syntax.  Proper usage follows:\n"
    "Example return code: 200 result=1 (testvariable)\n"
    "520 End of proper usage."
)
GOOD_BLOCK = block_of("01-good-call")
_PAUSE_MS = 1_500  # nobody begins to key in a pause between two words
CODE = "88005555350123456789"

Answer = OutboundResponse | Callable[[InboundRequest], Awaitable[OutboundResponse]]


def script(*say: str | int, state: str = "s1", deaf: int = 0, **then: object) -> OutboundResponse:
    """A response that says and then waits: ``do=...`` and the fields of that wait."""
    body = {"say": say, "deaf": deaf, "then": then, "state": state}
    return OutboundResponse(status=200, body=json.dumps(body).encode())


def gather(*say: str | int, most: int = 20, state: str = "s1", deaf: int = 0) -> OutboundResponse:
    then = {"do": "gather", "max_digits": most, "first_digit_s": 8, "between_s": 5}
    return script(*say, state=state, deaf=deaf, **then)


BYE = script("zh-CN/goodbye", state="end", do="hangup")


class Dialogue:
    """A scripted pipeline: each turn gets the next answer, then goodbyes; what came is kept."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = deque(answers)
        self.requests: list[InboundRequest] = []
        self._news = asyncio.Condition()

    async def __call__(self, request: InboundRequest) -> OutboundResponse:
        assert request.method == "CALL"
        assert request.headers["link"] == TOKEN
        async with self._news:
            self.requests.append(request)
            self._news.notify_all()
        if request.headers["event"] in {*ENDS, "refused"}:
            return OutboundResponse(status=200)
        answer = self._answers.popleft() if self._answers else BYE
        return answer if isinstance(answer, OutboundResponse) else await answer(request)

    @property
    def told(self) -> list[str]:
        """Events with what came with them, as ``keys 123 hash``; of the ends only that of a caller who hung up."""
        return [
            " ".join(
                part
                for part in (
                    request.headers["event"],
                    request.body.decode(),
                    request.headers.get("ended", ""),
                    request.headers.get("why", ""),
                )
                if part
            )
            for request in self.requests
            if request.headers["event"] not in ENDS or request.headers["event"] == "hung_up"
        ]

    @property
    def ends(self) -> list[str]:
        """How the calls ended, as the listener told it."""
        return [request.headers["event"] for request in self.requests if request.headers["event"] in ENDS]

    async def wait_for(self, event: str, count: int = 1) -> None:
        def seen() -> bool:
            return [request.headers["event"] for request in self.requests].count(event) >= count

        async with asyncio.timeout(DEADLINE_S), self._news:
            await self._news.wait_for(seen)


class Closed(Exception):
    """The server has closed the connection."""


class SwitchSide:
    """One connection of the switch. Fails where a command comes before the reply to the last one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.commands: list[str] = []

    @classmethod
    async def connect(cls, port: int, block: bytes = GOOD_BLOCK) -> SwitchSide:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        side = cls(reader, writer)
        side.send(block)
        return side

    def send(self, data: bytes | str) -> None:
        self._writer.write(data.encode() + b"\n" if isinstance(data, str) else data)

    async def command(self) -> str:
        async with asyncio.timeout(DEADLINE_S):
            try:
                line = await self._reader.readline()
            except ConnectionError:
                line = b""
        if not line:
            self.close()
            raise Closed
        assert line.endswith(b"\n")
        assert not self._reader._buffer, "a second command before the reply"
        self.commands.append(line.decode().removesuffix("\n"))
        return self.commands[-1]

    async def expect(self, command: str, *replies: str) -> None:
        assert await self.command() == command
        for reply in replies:
            self.send(reply)

    async def begin(self) -> None:
        """Get through the proof that replies are ours, and be answered."""
        echo = await self.command()
        assert echo.startswith("GET FULL VARIABLE ")
        self.send(f"200 result=1 ({echo.rpartition(' ')[2]})")
        await self.expect("ANSWER", "200 result=0")

    async def wait_closed(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    await self.command()
                except Closed:
                    return

    def close(self) -> None:
        self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()


class ModelSwitch:
    """Executes commands until the server closes. ``presses`` are bursts of keys, "" is one silence.

    ``hang_up_at`` is the number of the command (ANSWER is 1) during which the caller leaves; ``how`` says how that
    shows: ``reply`` (-1, then HANGUP), ``before`` (HANGUP, then 511), ``quiet`` (no HANGUP line), ``closing`` (HANGUP
    twice and the switch closes), ``reset``.
    """

    def __init__(
        self,
        presses: Iterable[str] = (),
        *,
        missing: tuple[str, ...] = (),
        hang_up_at: int = 0,
        how: str = "reply",
        variables: dict[str, str] | None = None,
    ) -> None:
        self._bursts = deque(presses)
        self._burst: deque[str] = deque()
        self._missing = missing
        self._hang_up_at = hang_up_at
        self._how = how
        self._is_dead = False
        self._count = 0
        self.variables = variables or {}
        self.commands: list[str] = []
        self.played: list[str] = []

    async def live(self, port: int, block: bytes = GOOD_BLOCK) -> ModelSwitch:
        side = await SwitchSide.connect(port, block)
        try:
            while True:
                command = await side.command()
                if command.startswith("GET FULL VARIABLE"):
                    side.send(f"200 result=1 ({command.rpartition(' ')[2]})")
                    continue
                self.commands.append(command)
                self._count += 1
                if self._count == self._hang_up_at and self._leave(side):
                    return self
                side.send(self._execute(command))
                if self._count == self._hang_up_at and self._how == "reply":
                    side.send("HANGUP")
        except Closed:
            return self
        finally:
            side.close()

    def _leave(self, side: SwitchSide) -> bool:
        """Let the caller go; return whether the connection is gone as well."""
        if self._how == "before":
            side.send("HANGUP")
            self._is_dead = True
        elif self._how == "quiet":
            self._is_dead = True
        elif self._how == "closing":
            side.send("HANGUP")
            side.send("HANGUP")
            side.close()
        elif self._how == "reset":
            side.abort()
        return self._how in {"closing", "reset"}

    def _execute(self, command: str) -> str:  # noqa: C901, PLR0912 - a row of verbs
        words = shlex.split(command)
        if self._count == self._hang_up_at and self._how == "reply":
            self._is_dead = True
            if not command.startswith(WORKS_WHEN_DEAD):
                return self._last_reply(words[0])
        if self._is_dead and not command.startswith(WORKS_WHEN_DEAD):
            return DEAD
        match words:
            case ["STREAM", "FILE", sound, keys]:
                return self._play(sound, keys, wait=False)
            case ["GET", "OPTION", sound, keys, _]:
                return self._play(sound, keys, wait=True)
            case ["WAIT", "FOR", "DIGIT", ms]:
                key = self._next_key(may_begin=int(ms) > _PAUSE_MS)
                return f"200 result={ord(key) if key else 0}"
            case ["GET", "DATA", "", _, most]:
                return self._collect(int(most))
            case ["RECORD", "FILE", *_]:
                return "200 result=35 (dtmf) endpos=40000"
            case ["SET", "VARIABLE", name, text]:
                self.variables[name] = text
                return "200 result=1"
            case ["GET", "VARIABLE", name]:
                return f"200 result=1 ({self.variables[name]})" if name in self.variables else "200 result=0"
            case ["CHANNEL", "STATUS"]:
                return "200 result=6"
            case ["HANGUP"]:
                return "200 result=1"
            case ["ANSWER"]:
                return "200 result=0"
        raise AssertionError(command)

    def _last_reply(self, verb: str) -> str:
        if verb in {"STREAM", "GET", "RECORD"}:
            return {"RECORD": "200 result=-1 (hangup) endpos=2000"}.get(verb, "200 result=-1")
        return "200 result=-1" if verb == "WAIT" else DEAD

    def _next_key(self, *, may_begin: bool = True) -> str:
        """Return the next key under the fingers, "" for a silence; a silence is one wait long."""
        if not self._burst and self._bursts and may_begin:
            self._burst.extend(self._bursts.popleft())
        return self._burst.popleft() if self._burst else ""

    def _play(self, sound: str, keys: str, *, wait: bool) -> str:
        if sound.endswith(self._missing or ("\0",)):
            return "200 result=-1 endpos=0"
        self.played.append(sound)
        if self._burst and self._burst[0] in keys:  # still under the fingers: it hits whatever runs
            return f"200 result={ord(self._burst.popleft())} endpos=2080"
        key = self._next_key() if wait else ""
        return f"200 result={ord(key) if key in keys and key else 0} endpos=20000"

    def _collect(self, most: int) -> str:
        got = ""
        while self._burst and len(got) < most:
            key = self._burst.popleft()
            if key == "#":
                return f"200 result={got}"
            got += key
        return f"200 result={got}" if len(got) == most else f"200 result={got} (timeout)"


@asynccontextmanager
async def listening(
    dialogue: Dialogue,
    *,
    pace: Pace | None = None,
    max_calls: int = 200,
    allow_from: str = "127.0.0.0/8",
    sounds: str = "yanzhen",
    recordings: str = "",
) -> AsyncIterator[tuple[FastAgiListener, int]]:
    """Run a listener on a free port; yield it and the port."""
    options = FastAgiOptions(
        listen="127.0.0.1:0",
        allow_from=(ip_network(allow_from),),
        sounds=sounds,
        max_calls=max_calls,
        recordings=recordings,
    )
    listener = FastAgiListener(options, clock=SystemClock(), token=TOKEN, pace=pace)
    task = asyncio.create_task(listener.listen(dialogue))
    try:
        async with asyncio.timeout(DEADLINE_S):
            _, port = await listener.wait_open()
        yield listener, port
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert listener.calls_in_progress == 0
