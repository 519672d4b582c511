"""Shoppers on every channel: they ask machines at random, again where no answer came, and remember what they heard."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import aiohttp

from tests.acceptance.many_machines.fleet import Fleet, Machine
from tests.acceptance.many_machines.lines import DEADLINES_S, all_lines
from tests.acceptance.many_machines.queries import Line, Query, Said, WrongAnswer
from tests.contract.store.history import Answer

SHOPPERS: Final = 12
_CHANNELS: Final = ("api", "api", "api", "sms", "hotline", "wechat", "web", "mini-program")
_REPLAYED: Final = 0.05
_MOST_TRIES: Final = 3000
_PAUSE_S: Final = 0.2
_BEAT_S: Final = 0.05
# processes that must run one after another for an answer: ours, a machine's, the database's
_ON_THE_WAY: Final = 3
_PROVIDER_S: Final = 15.0  # after which the most patient of the providers hangs up


@dataclass(slots=True, kw_only=True)
class Crowd:
    """``few`` of the fleet's labels are asked about. ``took_s`` holds the seconds of the slowest answer by
    channel, without those for which a busy machine kept everybody waiting; ``served`` which machine gave an answer
    when, in nanoseconds of the monotonic clock. ``put_off_by_the_machine`` are those of ``put_off`` whose time went
    in such waits. Between two questions each thinks for ``thinking_s``, because a crowd that takes every core keeps
    what was killed from coming back.
    """

    fleet: Fleet
    few: int
    dice: random.Random
    thinking_s: float = 0.1
    answers: list[Answer] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    put_off: Counter[str] = field(default_factory=Counter)
    put_off_by_the_machine: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    asked: int = 0
    took_s: dict[str, float] = field(default_factory=dict)
    served: list[tuple[str, int]] = field(default_factory=list)
    _stalled_s: float = 0.0
    _beat: asyncio.TimerHandle = field(init=False)
    _lines: dict[str, Line] = field(init=False)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._lines = all_lines(self.fleet, lambda: self._machine().url)

    async def come(self) -> None:
        """Ask until :meth:`go_home` and everybody got the answer to the last question."""
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=_PROVIDER_S)
        async with (
            self.fleet.platform.running(self.fleet.shell.platform_port),
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as everybody,
        ):
            self._feel(asyncio.get_running_loop().time())
            for _ in range(SHOPPERS):
                everybody.create_task(self._shop(session))
        self._beat.cancel()

    def late(self, slack: float) -> dict[str, float]:
        """Return the slowest answers that came after ``slack`` of their channel's deadline."""
        return {channel: took for channel, took in self.took_s.items() if took > DEADLINES_S[channel] * slack}

    def _feel(self, due_s: float) -> None:
        """Count how long this process was not let run; the others of this machine fare alike."""
        loop = asyncio.get_running_loop()
        self._stalled_s += loop.time() - due_s
        due_s = loop.time() + _BEAT_S
        self._beat = loop.call_at(due_s, self._feel, due_s)

    async def be_put_off(self, more: int) -> None:
        """Return once so many further times nobody could say anything."""
        wanted = sum(self.put_off.values()) + more
        while sum(self.put_off.values()) < wanted:
            self._more.clear()
            await self._more.wait()

    def go_home(self) -> None:
        self._enough.set()

    async def hear(self, more: int) -> None:
        """Return once so many further queries were answered."""
        wanted = len(self.answers) + more
        while len(self.answers) < wanted:
            self._more.clear()
            await self._more.wait()

    async def _shop(self, session: aiohttp.ClientSession) -> None:
        while not self._enough.is_set():
            label, code = self.fleet.codes[self.dice.randrange(self.few)]
            query = Query(number=self.asked, code=code, sent_at=datetime.now(UTC))
            self.asked += 1
            channel = self.dice.choice(_CHANNELS)
            started_ns = time.monotonic_ns()
            times = 2 if self.dice.random() < _REPLAYED else 1
            for _ in range(times):
                said = await self._insist(session, channel, query)
                answer = Answer(
                    label=label,
                    message=query.number,
                    ordinal=said.ordinal,
                    told_first=said.first,
                    started_ns=started_ns,
                    ended_ns=time.monotonic_ns(),
                )
                self.answers.append(answer)
                self.told[channel] += 1
            self._more.set()
            await self._pause(self.thinking_s)

    async def _insist(self, session: aiohttp.ClientSession, channel: str, query: Query) -> Said:
        """Bring one message again and again, as providers and people do, to whichever machine."""
        line = self._lines[channel]
        for _ in range(_MOST_TRIES):
            machine = self._machine()
            begun, stalled = time.monotonic(), self._stalled_s
            try:
                said = await line(session, machine.url, query)
            except (aiohttp.ClientError, ConnectionError):
                self.unanswered += 1
            else:
                waited_s = _ON_THE_WAY * (self._stalled_s - stalled)
                took_s = time.monotonic() - begun - waited_s
                self.took_s[channel] = max(self.took_s.get(channel, 0.0), took_s)
                if said is not None:
                    self.served.append((machine.name, time.monotonic_ns()))
                    return said
                self.put_off[channel] += 1
                self.put_off_by_the_machine[channel] += waited_s > took_s
                self._more.set()
            await self._pause(_PAUSE_S)
        raise WrongAnswer(f"{channel}: {_MOST_TRIES} tries and no answer\n{self.fleet.logs()[-3000:]}")

    def _machine(self) -> Machine:
        return self.dice.choice(self.fleet.machines)

    async def _pause(self, longest_s: float) -> None:
        """Wait for something to change, but not long."""
        try:
            async with asyncio.timeout(longest_s):
                await self.fleet.changed.wait()
        except TimeoutError:
            return
