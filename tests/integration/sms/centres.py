"""Message centres that are not ours, and what stands behind the link in their tests."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from app.adapters.clock import SystemClock
from app.core.model.reply import ReplyAddress, ReplyId
from channels.abilities import OutgoingText
from channels.base import InboundRequest, OutboundResponse
from channels.sms.dialect import IncomingText
from channels.sms.settings import SmppOptions
from channels.sms.smpp.dialect import SmppDialect
from channels.sms.smpp.link import SmppLink
from channels.sms.smpp.session import Pace
from channels.turns import DeliveryReport, Ignored

DEADLINE_S = 60.0
QUICK = Pace(
    first_pause_s=0.05,
    longest_pause_s=2.0,
    response_s=30.0,
    enquire_s=0.3,
    confirm_s=0.1,
    hold_s=0.3,
    missing_s=30.0,
    farewell_s=2.0,
)


class NodeCentre:
    """npm smpp's server in a process of its own."""

    def __init__(self, running: Process, port: int) -> None:
        self.port = port
        self._running = running
        self._seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._kept: list[dict[str, Any]] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, *, password: str = "secret", port: int = 0) -> NodeCentre:
        script = Path(__file__).with_name("smpp_centre.js")
        running = await asyncio.create_subprocess_exec(
            "node", str(script), str(port), password, stdin=PIPE, stdout=PIPE
        )
        assert running.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            first = json.loads(await running.stdout.readline())
        return cls(running, first["port"])

    async def order(self, order: str, **facts: object) -> None:
        assert self._running.stdin is not None
        self._running.stdin.write((json.dumps({"order": order, **facts}) + "\n").encode())
        await self._running.stdin.drain()
        await self.see("done")

    async def see(self, event: str, **facts: object) -> dict[str, Any]:
        """Wait for an event with these facts; others stay to be seen later."""

        def fits(seen: dict[str, Any]) -> bool:
            return seen["event"] == event and all(seen.get(name) == fact for name, fact in facts.items())

        for index, kept in enumerate(self._kept):
            if fits(kept):
                return self._kept.pop(index)
        async with asyncio.timeout(DEADLINE_S):
            while not fits(seen := await self._seen.get()):
                self._kept.append(seen)
        return seen

    def has_seen(self, event: str) -> bool:
        """Whether an event came that nobody waited for yet."""
        while not self._seen.empty():
            self._kept.append(self._seen.get_nowait())
        return any(kept["event"] == event for kept in self._kept)

    async def see_acknowledgements_settled(self) -> None:
        """Wait until the link knows that the centre has read what it wrote until now: the first sign of life that it
        asks for may be older, the second is not, and it asks for the third once the second was answered.
        """
        self.has_seen("enquired")
        self._kept = [kept for kept in self._kept if kept["event"] != "enquired"]
        for _ in range(3):
            await self.see("enquired")

    async def stop(self) -> None:
        if self._running.returncode is None:
            self._running.kill()
        await self._running.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._running.stdout is not None
        while line := await self._running.stdout.readline():
            self._seen.put_nowait(json.loads(line))


class Desk:
    """Stands where the pipeline stands: keeps what is brought and answers with ``statuses`` in turn, then 200.

    With ``reply`` every text is answered through the link.
    """

    def __init__(self, dialect: SmppDialect, reply: Callable[[IncomingText], str] | None = None) -> None:
        self.link: SmppLink = dialect.link
        self.brought: list[IncomingText | DeliveryReport | Ignored] = []
        self.requests: list[InboundRequest] = []
        self.statuses: list[int] = []
        self.gate: Callable[[], Awaitable[None]] | None = None
        self._dialect = dialect
        self._reply = reply
        self._sending: set[asyncio.Task[object]] = set()
        self._news = asyncio.Event()

    async def carry(self, request: InboundRequest) -> OutboundResponse:
        self._dialect.authenticate(request)
        if self.gate is not None:
            await self.gate()
        status = self.statuses.pop(0) if self.statuses else 200
        items = self._dialect.decode(request)
        self.requests.append(request)
        if status == 200:
            for item in items:
                self.brought.append(item)
                if self._reply is not None and isinstance(item, IncomingText):
                    task = asyncio.create_task(self.link.send(reply_to(item, self._reply(item))))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
        self._news.set()
        return OutboundResponse(status=status)

    async def until(self, wanted: Callable[[Desk], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not wanted(self):
                self._news.clear()
                await self._news.wait()

    @property
    def texts(self) -> list[IncomingText]:
        return [item for item in self.brought if isinstance(item, IncomingText)]


def reply_to(item: IncomingText, text: str, reply_id: int = 1) -> OutgoingText:
    return outgoing(text, recipient=item.sender, ours=item.ours, reply_id=reply_id)


def outgoing(
    text: str, *, recipient: str = "+8613800000001", ours: str = "95001", reply_id: int = 1
) -> OutgoingText:
    address = ReplyAddress(sender="smpp", recipient=recipient, ours=ours)
    return OutgoingText(reply_id=ReplyId(reply_id), address=address, text=text)


def options(port: int) -> SmppOptions:
    return SmppOptions(host="127.0.0.1", port=port, system_id="yanzhen", password="secret", system_type="VMS")


def make_dialect(port: int, *, pace: Pace = QUICK) -> SmppDialect:
    return SmppDialect(options(port), clock=SystemClock(), pace=pace)


@asynccontextmanager
async def listening(
    dialect: SmppDialect, reply: Callable[[IncomingText], str] | None = None
) -> AsyncIterator[Desk]:
    """Run the link until the block ends; leaving it unbinds."""
    desk = Desk(dialect, reply)
    task = asyncio.create_task(desk.link.listen(desk.carry))
    try:
        yield desk
    finally:
        task.cancel()
        async with asyncio.timeout(DEADLINE_S):
            with suppress(asyncio.CancelledError):
                await task
