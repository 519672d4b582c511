"""The courier: delivers what the outbox owes. Where a reply's fate is unknown, the provider is asked first.

A provider that cannot be asked gets it a second time and never a third, so one message costs at most one duplicate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final, assert_never

from app.core.errors import StoreUnavailable
from app.core.model.reply import Accepted, GivenUp, OwedReply, PutOff, Settlement, Worded
from app.core.model.verdict import Outcome
from app.core.ports.clock import Clock
from app.core.ports.correspondence import Correspondence
from app.core.ports.journal import Journal
from app.core.ports.outbox import Outbox
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Sender, Unknown
from channels.asking import Asking
from channels.turns import ThrottleSubject
from channels.wording.forms import TextForm
from channels.wording.reply import Wording

AT_ONCE: Final = 32
_LOOK_EVERY_S: Final = 1.0
_VERIFY_WITHIN_MS: Final = 10_000
_ANSWER_WITHIN: Final = timedelta(minutes=15)
_SEND_WITHIN: Final = timedelta(hours=6)
_ASK_AFTER: Final = timedelta(seconds=20)  # providers list a message some seconds after they took it
_LONGEST_PAUSE_S: Final = 600.0
_MOST_DOUBTS: Final = 2


class Courier:
    """Delivers until it is stopped; made for one event loop. ``forms`` holds the form of text of each channel."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        correspondence: Correspondence,
        asking: Asking,
        wording: Wording,
        senders: Iterable[Sender],
        journal: Journal,
        clock: Clock,
        forms: Mapping[str, TextForm] = MappingProxyType({}),
    ) -> None:
        self._outbox = outbox
        self._correspondence = correspondence
        self._asking = asking
        self._wording = wording
        self._senders = {sender.name: sender for sender in senders}
        self._journal = journal
        self._clock = clock
        self._forms = forms
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    def nudge(self) -> None:
        """Look at the outbox at once."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled, then let what is under way end."""
        try:
            while True:
                self._wake.clear()
                if not await self._take_some():
                    await self._pause()
        finally:
            if self._under_way:
                await asyncio.wait(self._under_way)

    async def _take_some(self) -> bool:
        """Start delivering what is due; False where nothing is."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            return True
        try:
            replies = await self._outbox.take(self._clock.now(), limit=room)
        except StoreUnavailable as error:
            self._journal.failed("take_failed", error)
            return False
        except Exception as error:  # noqa: BLE001 - deliveries end with the service and not before
            self._journal.failed("take_failed", error)
            return False
        for reply in replies:
            task = asyncio.create_task(self._deliver(reply))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return bool(replies)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _deliver(self, reply: OwedReply) -> None:
        """Bring one reply a step further. What fails to be settled comes back when its lease is over."""
        try:
            settlement = await (self._send(reply) if reply.text else self._answer(reply))
            await self._outbox.settle(reply.id, settlement, now=self._clock.now())
            if isinstance(settlement, Worded):
                self.nudge()
        except StoreUnavailable as error:
            self._journal.failed("settle_failed", error)
        except Exception as error:  # noqa: BLE001 - one broken reply must not end the deliveries
            self._journal.failed("deliver_failed", error)

    async def _answer(self, reply: OwedReply) -> Settlement:
        """Give the verdict that was not ready in time; past a quarter of an hour, say that there is none."""
        question = reply.question
        if question is None:
            return GivenUp(why="nothing_to_say")
        # they may have opted out since, or nobody could tell; then nothing is asked, or a first check would be lost
        if (await self._correspondence.find(question.caller, now=self._clock.now())).opted_out:
            return self._give_up("opted_out", reply.address.sender)
        started = self._clock.monotonic_s()
        subjects: tuple[ThrottleSubject, ...] = ()
        if question.caller.token is not None:
            subjects = (ThrottleSubject(question.caller.kind.value, question.caller.token),)
        verdict = await self._asking.verify(question, subjects, deadline_ms=_VERIFY_WITHIN_MS)
        self._asking.note(question, verdict, duplicate=False, started_s=started)
        now = self._clock.now()
        age = now - reply.owed_at
        if verdict.outcome is Outcome.UNAVAILABLE and age < _ANSWER_WITHIN:
            return PutOff(until=now + max(timedelta(seconds=2), age / 4))
        worded = self._wording.reply(verdict, question.locale, more_codes=reply.more_codes)
        return Worded(text=worded.text(self._forms.get(question.channel, TextForm.SHORT)))

    async def _send(self, reply: OwedReply) -> Settlement:
        now = self._clock.now()
        name = reply.address.sender
        sender = self._senders.get(name)
        text = OutgoingText(reply_id=reply.id, address=reply.address, text=reply.text)
        if reply.doubtful:
            found = await self._look_for(sender, text, reply)
            if found is not None:
                return found
        if now - reply.owed_at > _SEND_WITHIN:
            return self._give_up("too_late", name)
        if sender is None:
            return PutOff(until=now + timedelta(seconds=_LONGEST_PAUSE_S))
        result = await sender.send(text)
        now = self._clock.now()
        match result:
            case Accepted():
                self._journal.counted("pushed", name)
                return result
            case Rejected():
                return self._give_up(result.why, name)
            case Deferred():
                self._journal.counted("deferred", name)
                pause_s = min(max(result.after_s, 2.0 ** min(reply.tries, 10)), _LONGEST_PAUSE_S)
                return PutOff(until=now + timedelta(seconds=pause_s))
            case Unknown():
                self._journal.counted("unknown_result", name)
                return PutOff(until=now + _ASK_AFTER, doubtful=True)
            case _ as unreachable:
                assert_never(unreachable)

    async def _look_for(
        self, sender: Sender | None, text: OutgoingText, reply: OwedReply
    ) -> Settlement | None:
        """Ask the provider what became of the last try; None where the text may go out (again)."""
        name = reply.address.sender
        if sender is not None and reply.tried_at is not None:
            found = await sender.find_sent(
                text,
                since=reply.tried_at,
                known_ids=lambda ids: self._outbox.known_ids(name, ids),
            )
            if isinstance(found, Accepted):
                self._journal.counted("found_sent", name)
                return found
            if isinstance(found, NotSent):
                self._journal.counted("resent_not_taken", name)
                return None
            now = self._clock.now()
            if found.ask_again and now - reply.owed_at <= _SEND_WITHIN:
                self._journal.counted("asked_in_vain", name)
                return PutOff(until=now + _ASK_AFTER, doubtful=True)
        if reply.doubts >= _MOST_DOUBTS:
            return self._give_up("unknown_twice", name)
        self._journal.counted("resent_unknown", name)
        return None

    def _give_up(self, why: str, name: str) -> GivenUp:
        self._journal.counted(f"given_up_{why}", name)
        return GivenUp(why=why)
