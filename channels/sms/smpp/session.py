"""One bound connection: units out and in, responses to their requests, signs of life. The link opens the next one."""

from __future__ import annotations

import asyncio
from asyncio import Future, IncompleteReadError, StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiosmpplib.protocol import (
    BindTransceiver,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SmppMessage,
    Unbind,
    UnbindResp,
)
from aiosmpplib.state import SmppCommandStatus

from channels.base import Clock
from channels.sms.smpp.wire import Command, NotSmpp, Pdu, read_pdu

_LAST_SEQUENCE: Final = 0x7FFFFFFF
_MOST_WAITING: Final = 1000
_MOST_UNREAD: Final = 1024 * 1024  # octets


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things may take, in seconds. The defaults suit carriers; tests are in a hurry."""

    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    response_s: float = 10.0
    enquire_s: float = 30.0
    confirm_s: float = 5.0
    hold_s: float = 1.0
    missing_s: float = 90.0
    farewell_s: float = 5.0


class NotBound(Exception):
    """No session could be opened. ``why`` is a constant word or a status code of the centre, for the operator."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Lost(Exception):
    """The connection ended before the response came."""


class Session:
    """A session that is bound. ``on_delivery`` gets every deliver_sm and must not block; ``on_settled`` gets the marks
    of responses (see :meth:`respond`) once the centre has certainly read them.
    """

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        *,
        pace: Pace,
        clock: Clock,
        on_delivery: Callable[[Session, Pdu], None],
        on_settled: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._pace = pace
        self._clock = clock
        self._on_delivery = on_delivery
        self._on_settled = on_settled
        self._sequence = 0
        self._waiting: dict[int, Future[Pdu]] = {}
        self._marks: list[str] = []
        self._behind: dict[int, list[str]] = {}
        self._heard_s = clock.monotonic_s()
        self._flow = asyncio.Lock()

    async def bind(self, request: BindTransceiver) -> None:
        """Open the session. Raises ``NotBound``."""
        try:
            async with asyncio.timeout(self._pace.response_s):
                self._sequence = request.sequence_num = 1
                self._write(request)
                while (pdu := await read_pdu(self._reader)).command == Command.OUTBIND:
                    pass
        except (OSError, IncompleteReadError, NotSmpp, TimeoutError) as failure:
            raise NotBound("no_answer") from failure
        if pdu.command != Command.BIND_TRANSCEIVER_RESP or pdu.status != SmppCommandStatus.ESME_ROK:
            raise NotBound(f"refused_0x{pdu.status:02X}")

    async def serve(self) -> None:
        """Take what comes until the connection ends or the centre stops answering. Raises nothing of its own."""
        keeper = asyncio.create_task(self._keep())
        try:
            with suppress(OSError, IncompleteReadError, NotSmpp):
                while True:
                    pdu = await read_pdu(self._reader)
                    self._heard_s = self._clock.monotonic_s()
                    if self._take(pdu):
                        break
        finally:
            keeper.cancel()
            self.close()

    def close(self) -> None:
        """End the connection; whoever waits for a response gets ``Lost``."""
        self._writer.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Lost())
                waiting.exception()  # nobody may be left to fetch it
        self._waiting.clear()

    def respond(self, response: SmppMessage, *, mark: str = "") -> None:
        """Write a response. ``mark`` comes back through ``on_settled``: a centre that answers a later request of ours
        has read everything before it, because a connection keeps its order.
        """
        self._write(response)
        if mark:
            self._marks.append(mark)

    def send(self, request: SmppMessage) -> Future[Pdu]:
        """Write a request; the future ends with its response or with ``Lost``."""
        self._sequence = self._sequence % _LAST_SEQUENCE + 1
        request.sequence_num = self._sequence
        waiting: Future[Pdu] = asyncio.get_running_loop().create_future()
        if self._writer.is_closing():
            waiting.set_exception(Lost())
            return waiting
        self._write(request)
        self._waiting[self._sequence] = waiting
        self._behind[self._sequence] = self._marks
        self._marks = []
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        return waiting

    async def flow(self) -> None:
        """Wait while the connection is full."""
        async with self._flow:
            with suppress(OSError):
                await self._writer.drain()

    async def unbind(self) -> None:
        """Say goodbye, and wait a little for what is still unanswered."""
        goodbye = self.send(Unbind())
        await asyncio.wait({goodbye, *self._waiting.values()}, timeout=min(2.0, self._pace.response_s))
        if goodbye.done():
            goodbye.exception()

    def _write(self, message: SmppMessage) -> None:
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > _MOST_UNREAD:
            self._writer.transport.abort()  # it floods us with requests and reads no answer
            return
        self._writer.write(message.pdu())

    def _take(self, pdu: Pdu) -> bool:
        """Deal with one unit; True where it ends the session."""
        if pdu.is_response:
            self._settle(pdu.sequence)
            waiting = self._waiting.pop(pdu.sequence, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(pdu)
        elif pdu.command == Command.DELIVER_SM:
            self._on_delivery(self, pdu)
        elif pdu.command == Command.ENQUIRE_LINK:
            self.respond(EnquireLinkResp(sequence_num=pdu.sequence))
        elif pdu.command == Command.UNBIND:
            self.respond(UnbindResp(sequence_num=pdu.sequence))
            return True
        elif pdu.command not in (Command.ALERT_NOTIFICATION, Command.OUTBIND):  # these want no response
            unknown = SmppCommandStatus.ESME_RINVCMDID
            self.respond(GenericNack(sequence_num=pdu.sequence, command_status=unknown))
        return False

    def _settle(self, sequence: int) -> None:
        if sequence not in self._behind:
            return
        for earlier in list(self._behind):
            for mark in self._behind.pop(earlier):
                self._on_settled(mark)
            if earlier == sequence:
                return

    async def _keep(self) -> None:
        """Ask for a sign of life when it was quiet, or when an acknowledgement has nothing behind it yet."""
        while True:
            await asyncio.sleep(min(self._pace.confirm_s, self._pace.enquire_s))
            if not self._marks and self._clock.monotonic_s() - self._heard_s < self._pace.enquire_s:
                continue
            answer = self.send(EnquireLink())
            await asyncio.wait({answer}, timeout=self._pace.response_s)
            if not answer.done() or answer.exception() is not None:
                self._writer.transport.abort()  # a centre that is gone does not close the connection either
                return
