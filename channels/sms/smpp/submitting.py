"""Replies out: submit_sm, what the centre answers to it, and the pauses it asks for."""

from __future__ import annotations

import asyncio
import secrets
from asyncio import Future
from collections import OrderedDict
from typing import Final

from aiosmpplib.state import SmppCommandStatus

from app.core.model.reply import Accepted, ReplyId
from channels.abilities import Deferred, OutgoingText, Rejected, Unknown
from channels.base import Clock
from channels.sms.smpp.alphabets import Segment, cut_text
from channels.sms.smpp.session import Lost, Pace, Session
from channels.sms.smpp.wire import Command, Pdu, read_message_id, submit_request

_AT_ONCE: Final = 10  # the window most carriers grant
_MOST_LATE: Final = 1000
_MOST_ACCEPTED: Final = 10_000
_SLOW_DOWN: Final = frozenset({SmppCommandStatus.ESME_RTHROTTLED, SmppCommandStatus.ESME_RMSGQFUL})
_NOT_NOW: Final = frozenset(
    {SmppCommandStatus.ESME_RSYSERR, SmppCommandStatus.ESME_RX_T_APPN, SmppCommandStatus.ESME_RINVBNDSTS}
)

Result = Accepted | Rejected | Deferred | Unknown


class Submitting:
    """Sends texts over ``session`` while there is one, ten at once."""

    def __init__(self, clock: Clock, *, pace: Pace, own_number: str) -> None:
        self.session: Session | None = None
        self._clock = clock
        self._pace = pace
        self._own_number = own_number
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._reference = secrets.randbelow(256)
        self._quiet_until_s = 0.0
        self._pause_s = 0.0
        self._late: OrderedDict[ReplyId, str] = OrderedDict()
        self._accepted: OrderedDict[str, float] = OrderedDict()
        self._in_flight = 0

    async def send(self, text: OutgoingText) -> Result:
        """Send one text; a long one in parts, of which the last asks for the receipt."""
        try:
            async with asyncio.timeout(self._pace.response_s / 4):
                await self._room.acquire()
        except TimeoutError:
            return Deferred(why="busy", after_s=self._pace.first_pause_s)
        try:
            return await self._send(text)
        finally:
            self._room.release()

    def find_late(self, reply_id: ReplyId) -> Accepted | Unknown:
        """Tell whether the response to a doubtful text came after all."""
        if reply_id in self._late:
            return Accepted(provider_id=self._late[reply_id])
        return Unknown(why="no_way_to_ask")

    def settling_s(self, provider_id: str) -> float:
        """Return how long a receipt should wait, so that whoever sent the reply has noted its id: a quick centre sends
        the receipt together with its response, or even before it.
        """
        accepted_s = self._accepted.get(provider_id)
        if accepted_s is not None:
            return max(0.0, self._pace.hold_s - (self._clock.monotonic_s() - accepted_s))
        return self._pace.hold_s if self._in_flight else 0.0

    async def _send(self, text: OutgoingText) -> Result:
        self._reference = (self._reference + 1) % 256
        try:
            segments = cut_text(text.text, reference=self._reference)
        except ValueError:
            return Rejected(why="text_not_sendable")
        deadline_s = asyncio.get_running_loop().time() + self._pace.response_s
        result: Result = Unknown(why="not_tried")
        for number, segment in enumerate(segments, start=1):
            result = await self._submit(segment, text, is_last=number == len(segments), deadline_s=deadline_s)
            if not isinstance(result, Accepted):
                # a text of which a part is on its way cannot be called not sent
                return result if number == 1 else Unknown(why="part_missing")
        return result

    async def _submit(
        self, segment: Segment, text: OutgoingText, *, is_last: bool, deadline_s: float
    ) -> Result:
        session, now_s = self.session, self._clock.monotonic_s()
        if session is None:
            return Deferred(why="not_bound")
        if now_s < self._quiet_until_s:
            return Deferred(why="throttled", after_s=self._quiet_until_s - now_s)
        try:
            request = submit_request(
                segment,
                source=text.address.ours or self._own_number,
                destination=text.address.recipient,
                wants_receipt=is_last,
            )
        except ValueError:
            return Rejected(why="number_not_sendable")
        waiting = session.send(request)
        self._in_flight += 1
        try:
            async with asyncio.timeout_at(deadline_s):
                await session.flow()
                pdu = await asyncio.shield(waiting)
        except TimeoutError:
            waiting.add_done_callback(lambda late: self._note_late(text.reply_id, late))
            return Unknown(why="no_response")
        except Lost:
            return Unknown(why="connection_lost")
        finally:
            self._in_flight -= 1
        return self._result(pdu)

    def _result(self, pdu: Pdu) -> Result:
        if pdu.command == Command.SUBMIT_SM_RESP and pdu.status == SmppCommandStatus.ESME_ROK:
            if self._clock.monotonic_s() >= self._quiet_until_s:
                self._pause_s = 0.0
            return Accepted(provider_id=self._remember(read_message_id(pdu)))
        if pdu.status in _SLOW_DOWN:
            return Deferred(why="throttled", after_s=self._slow_down())
        if pdu.status in _NOT_NOW:
            return Deferred(why="refused_for_now", after_s=self._pace.longest_pause_s / 2)
        return Rejected(why=f"refused_0x{pdu.status:02X}")

    def _remember(self, provider_id: str) -> str:
        self._accepted[provider_id] = self._clock.monotonic_s()
        if len(self._accepted) > _MOST_ACCEPTED:
            self._accepted.popitem(last=False)
        return provider_id

    def _slow_down(self) -> float:
        """Lengthen the pause, once for all texts that were under way together; return what is left of it."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._quiet_until_s:
            self._pause_s = min(max(self._pause_s * 2, self._pace.first_pause_s), self._pace.longest_pause_s)
            self._quiet_until_s = now_s + self._pause_s
        return self._quiet_until_s - now_s

    def _note_late(self, reply_id: ReplyId, late: Future[Pdu]) -> None:
        if late.cancelled() or late.exception() is not None:
            return
        result = self._result(late.result())
        if isinstance(result, Accepted):
            self._late[reply_id] = result.provider_id
            if len(self._late) > _MOST_LATE:
                self._late.popitem(last=False)
