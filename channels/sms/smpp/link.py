"""The link to a message centre: it listens for texts and sends replies over one bound session, and opens it again.

aiosmpplib's own client acknowledges texts one after another and only with success, and joins the parts of two shoppers
under one reference; so the session is ours, and a text is acknowledged by its own result, after it was recorded.
"""

from __future__ import annotations

import asyncio
import secrets
from asyncio import Task
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Final

from aiosmpplib.protocol import DeliverSmResp
from aiosmpplib.state import SmppCommandStatus

from app.core.model.reply import Accepted
from channels.abilities import Carry, Deferred, NotSent, OutgoingText, Rejected, Unknown
from channels.base import Clock
from channels.sms.settings import SmppOptions
from channels.sms.smpp.arrivals import Arrivals
from channels.sms.smpp.bringing import AGAIN, NEVER, PATH, Acknowledgement, Bringing
from channels.sms.smpp.session import NotBound, Pace, Session
from channels.sms.smpp.submitting import Submitting
from channels.sms.smpp.wire import Pdu, bind_request, read_delivery

_MOST_UNDER_WAY: Final = 2000
_MOST_OCTETS: Final = 4 * 1024 * 1024  # of all of them together; a text has some hundreds


class SmppLink:
    """A ``Listener`` and a ``Sender``. ``token`` proves to the dialect that a request comes from here.

    ``trouble`` says in a constant word why there is no session, "" while there is one. Raises ``SettingsInvalid`` for
    options that cannot be sent.
    """

    def __init__(self, options: SmppOptions, *, clock: Clock, token: str, pace: Pace) -> None:
        self.trouble = "not_started"
        self._options = options
        self._bind = bind_request(options)
        self._clock = clock
        self._pace = pace
        self._arrivals = Arrivals(clock)
        self._submitting = Submitting(clock, pace=pace, own_number=next(iter(options.addresses), ""))
        self._bringing = Bringing(
            clock,
            token=token,
            pace=pace,
            arrivals=self._arrivals,
            settling_s=self._submitting.settling_s,
        )
        self._under_way: set[Task[None]] = set()
        self._octets_under_way = 0

    @property
    def name(self) -> str:
        """The name that reply addresses carry."""
        return PATH

    @property
    def is_bound(self) -> bool:
        """Whether replies can be sent now."""
        return self._submitting.session is not None

    async def listen(self, carry: Carry) -> None:
        """Bind, bring every text to ``carry``, bind again with growing pauses; until cancelled."""
        self._bringing.carry = carry
        sweeper = asyncio.create_task(self._sweep())
        try:
            await self._stay_bound()
        finally:
            sweeper.cancel()
            await self._finish()
            self._bringing.carry = None

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        """Send one text; the result says what the centre answered."""
        return await self._submitting.send(text)

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        """Tell what a late response told. A centre can be asked for a message by its id alone, and there is none."""
        return self._submitting.find_late(text.reply_id)

    async def close(self) -> None:
        """Send nothing any more. The session itself ends with ``listen``, which opened it."""
        self._submitting.session = None

    async def _stay_bound(self) -> None:
        pause_s = self._pace.first_pause_s
        while True:
            began_s = self._clock.monotonic_s()
            await self._live_one_session()
            if self._clock.monotonic_s() - began_s > pause_s + self._pace.response_s:
                pause_s = self._pace.first_pause_s  # it lasted: what ended it is new
            await asyncio.sleep(secrets.SystemRandom().uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 2, self._pace.longest_pause_s)

    async def _live_one_session(self) -> None:
        try:
            session = await self._open()
        except NotBound as refused:
            self.trouble = refused.why
            return
        self.trouble, self._submitting.session = "", session
        ended = asyncio.create_task(session.serve())
        try:
            await asyncio.shield(ended)  # at the end of the service it still takes what is under way
        finally:
            self.trouble = "connection_ended"
            if ended.done():
                self._submitting.session = None
            else:
                await self._say_goodbye(session)
                ended.cancel()

    async def _open(self) -> Session:
        try:
            async with asyncio.timeout(self._pace.response_s):
                reader, writer = await asyncio.open_connection(self._options.host, self._options.port)
        except (OSError, TimeoutError) as failure:
            raise NotBound("not_reachable") from failure
        session = Session(
            reader,
            writer,
            pace=self._pace,
            clock=self._clock,
            on_delivery=self._take,
            on_settled=self._arrivals.settle,
        )
        try:
            await session.bind(self._bind)
        except BaseException:
            session.close()
            raise
        return session

    async def _say_goodbye(self, session: Session) -> None:
        """Let what is under way end, then unbind. Texts that come meanwhile are asked for again."""
        self._submitting.session = None
        try:
            await self._finish()
            await session.unbind()
        finally:
            session.close()

    async def _finish(self) -> None:
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=self._pace.farewell_s)
            for task in late:
                task.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._pace.missing_s / 3)
            await self._bringing.bring_overdue()

    def _take(self, session: Session, pdu: Pdu) -> None:
        """Begin with a deliver_sm; called from the reading loop, which must not wait."""
        full = len(self._under_way) >= _MOST_UNDER_WAY or self._octets_under_way >= _MOST_OCTETS
        if full or self._submitting.session is not session:
            _respond(session, pdu, Acknowledgement(status=AGAIN))
            return
        size = len(pdu.body)
        self._octets_under_way += size
        task = asyncio.create_task(self._deliver(session, pdu))
        self._under_way.add(task)
        task.add_done_callback(lambda done: self._forget(done, size))

    def _forget(self, done: Task[None], size: int) -> None:
        self._under_way.discard(done)
        self._octets_under_way -= size

    async def _deliver(self, session: Session, pdu: Pdu) -> None:
        try:
            delivery = read_delivery(pdu.body)
        except ValueError:
            _respond(session, pdu, Acknowledgement(status=NEVER))
            return
        _respond(session, pdu, await self._bringing.bring(delivery))


def _respond(session: Session, pdu: Pdu, answer: Acknowledgement) -> None:
    status: SmppCommandStatus = answer.status
    session.respond(DeliverSmResp(sequence_num=pdu.sequence, command_status=status), mark=answer.content)
