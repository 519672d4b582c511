"""Plays the traffic against the service, which is slow at times and killed now and then; the providers try again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from channels.base import InboundRequest, OutboundResponse
from channels.sms.settings import TwilioOptions
from channels.sms.smpp.bringing import TAKEN
from tests.acceptance.sms.mobile_network import (
    Arrival,
    Message,
    MobileNetwork,
    callback,
    deliver_sm_of,
    link_request,
    request_of,
    said_in,
    twilio_request,
)
from tests.acceptance.sms.service_life import ServiceLife, World, nobody_writing, until
from tests.acceptance.sms.traffic import Bring, Forge, Item, Script, Traffic
from tests.fakes.recording_journal import RecordingJournal

WORKERS: Final = 64
_BETWEEN_DELIVERIES_S: Final = 0.01
_MOST_TRIES: Final = 8
_HURRY_MS: Final = 100
_DEADLINE_MS: Final = 10_000
_LATE_ONES: Final = 24
_STORM_WITHIN_S: Final = 3.0
_LONG_STORM_WITHIN_S: Final = 6.0
_STRANGER: Final = TwilioOptions(auth_tokens=("0" * 32,))


class EveningJournal(RecordingJournal):
    """Keeps counts instead of answers, and tells when enough answers were late."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: Counter[str] = Counter()
        self.late = asyncio.Event()
        self.owe_failed = asyncio.Event()
        self._late_left = 0

    def expect_late(self, number: int) -> None:
        self._late_left = number
        self.late.clear()
        self.owe_failed.clear()

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        self.outcomes["duplicate" if duplicate else verdict.outcome] += 1
        if verdict.outcome is Outcome.UNAVAILABLE:
            self._late_left -= 1
            if self._late_left <= 0:
                self.late.set()

    def failed(self, event: str, error: BaseException) -> None:
        super().failed(event, error)
        if event in {"owe_failed", "owe_unsure"}:
            self.owe_failed.set()


class Evening:
    """One run. ``life`` is the service of the moment; :meth:`play`, then :meth:`settle`, then look."""

    def __init__(
        self, world: World, network: MobileNetwork, journal: EveningJournal, traffic: Traffic
    ) -> None:
        self.life: ServiceLife
        self.refused: Counter[int] = Counter()
        self.forged: Counter[int] = Counter()
        self.kills = 0
        self._world = world
        self._network = network
        self._journal = journal
        self._traffic = traffic
        self._serving = asyncio.Event()
        self._past: list[ServiceLife] = []
        for message in traffic.messages:
            network.add(message)

    def begin(self, life: ServiceLife) -> None:
        self.life = life
        life.bringing.carry = partial(self._over_the_link, life)
        self._serving.set()

    async def play(self) -> None:
        items = self._traffic.items
        feed = iter(enumerate(items))
        turns = self._turning_points(len(items))

        async def work() -> None:
            for index, item in feed:
                if index in turns:
                    await turns[index]()
                await self._play(item)
                await self._report_deliveries()

        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work())

    def _turning_points(self, items: int) -> Mapping[int, Callable[[], Awaitable[None]]]:
        """A storm in every twentieth part, and between them the kills."""
        part = max(items // 20, 2)
        turns: dict[int, Callable[[], Awaitable[None]]] = {part * n: self._storm for n in range(1, 20)}
        turns[part * 4 + part // 2] = self._kill
        turns[part * 8] = self._kill_in_storm
        turns[part * 12 + part // 2] = self._kill_while_sending
        turns[part * 16] = self._long_storm
        hurries = [index - 2 * WORKERS for index in turns]
        return turns | {index: self._hurry for index in hurries if index > 0}

    async def _play(self, item: Item) -> None:
        match item:
            case Bring(provider=provider, arrivals=arrivals):
                await self.bring(provider, arrivals)
            case Script(arrivals=arrivals):
                for arrival in arrivals:
                    await self.bring(arrival.message.provider, (arrival,))
            case Forge(arrival=arrival, way=way):
                await self._forge(arrival, way)

    # -- deliveries ------------------------------------------------------------------------------------------

    async def bring(self, provider: str, arrivals: tuple[Arrival, ...]) -> None:
        """Deliver, and deliver again while there is no response or one that asks for it."""
        for _ in range(_MOST_TRIES):
            life = await self._life()
            self._world.clock.advance(_BETWEEN_DELIVERIES_S)
            if provider == "smpp":
                taken = await self._deliver_sm(life, arrivals[0].message)
            else:
                request = request_of(provider, arrivals, self._world.clock.now())
                response = await life.carry(provider, request)
                taken = not life.is_over and self._hear(provider, arrivals, response)
            if taken:
                return
        raise AssertionError(f"nobody took {provider}'s delivery")

    def _hear(self, provider: str, arrivals: tuple[Arrival, ...], response: OutboundResponse) -> bool:
        if response.status != 200:
            self.refused[response.status] += 1
            return False
        text = said_in(provider, response)
        for arrival in arrivals:
            message = arrival.message
            message.left -= 1
            message.lives.add(self.kills)
            if text:
                message.answers.add(text)
            if not arrival.is_lost and message.in_band is None:
                message.in_band = text
        return True

    async def _deliver_sm(self, life: ServiceLife, message: Message) -> bool:
        answer = await life.bringing.bring(deliver_sm_of(message))
        if life.is_over or answer.status is not TAKEN:
            return False
        message.left -= 1
        if message.left == 0:  # the centre gets this acknowledgement, the earlier ones were lost
            life.arrivals.settle(answer.content)
        return True

    async def _over_the_link(self, life: ServiceLife, request: InboundRequest) -> OutboundResponse:
        message = self._network.by_number[request.headers["to"]]
        message.ids |= {request.headers["message-id"], request.headers["alias-id"]}
        return await life.carry("smpp", request)

    async def _forge(self, arrival: Arrival, way: int) -> None:
        ways = forgeries(arrival, self._world.clock.now())
        life = await self._life()
        response = await life.carry(arrival.message.provider, ways[way % len(ways)])
        if not life.is_over:
            self.forged[response.status] += 1

    async def _report_deliveries(self) -> None:
        while self._network.reports:
            report = self._network.reports.popleft()
            life = await self._life()
            response = await life.carry("twilio", callback(*report, self._world.clock.now()))
            if life.is_over or response.status != 200:
                self._network.reports.append(report)

    async def settle(self) -> None:
        """Let the courier deliver what is owed, however often it must try."""
        life = self.life
        for _ in range(400):
            await self._report_deliveries()
            if not await self.is_owing():
                return
            self._world.clock.advance(4.0)
            life.nudge()
            for _ in range(8):  # each a commit behind those that are queued
                await life.storage.verifications.check()
        raise AssertionError("the courier does not come to an end")

    async def is_owing(self) -> bool:
        sql = "SELECT 1 FROM reply WHERE state IN ('waiting', 'sending') LIMIT 1"
        return bool(await self.life.storage.verifications._reader.rows("Looking", sql))

    async def end(self) -> None:
        for life in (*self._past, self.life):
            await life.end()

    # -- a bad evening ---------------------------------------------------------------------------------------

    async def _life(self) -> ServiceLife:
        await self._serving.wait()
        return self.life

    async def _hurry(self) -> None:
        """From here on, what is asked must be answered soon: a bad moment is coming."""
        (await self._life()).answer_within(_HURRY_MS)

    async def _storm(self) -> None:
        """Nothing can be recorded until two dozen shoppers have waited for longer than they may."""
        life = await self._life()
        self._journal.expect_late(_LATE_ONES)
        with nobody_writing(life.path):
            await until(self._journal.late, within_s=_STORM_WITHIN_S)
        life.answer_within(_DEADLINE_MS)

    async def _long_storm(self) -> None:
        """As a storm, until not even the replies that are owed could be kept in time."""
        life = await self._life()
        self._journal.expect_late(_LATE_ONES)
        with nobody_writing(life.path):
            await until(self._journal.owe_failed, within_s=_LONG_STORM_WITHIN_S)
        life.answer_within(_DEADLINE_MS)

    async def _kill(self) -> None:
        life = await self._life()
        with nobody_writing(life.path):
            files = life.kill()
        await self._begin_again(files)

    async def _kill_in_storm(self) -> None:
        life = await self._life()
        self._journal.expect_late(_LATE_ONES)
        with nobody_writing(life.path):
            await until(self._journal.late, within_s=_STORM_WITHIN_S)
            files = life.kill()
        await self._begin_again(files)

    async def _kill_while_sending(self) -> None:
        """The providers have taken replies, and the service will never know."""
        life = await self._life()
        self._network.gate.clear()
        await until(self._network.crowd_at_gate, within_s=_STORM_WITHIN_S)
        with nobody_writing(life.path):
            files = life.kill()
        self._network.gate.set()
        await self._begin_again(files)

    async def _begin_again(self, files: Path) -> None:
        self._serving.clear()
        self.kills += 1
        self._past.append(self.life)
        self._world.clock.advance(20.0)
        self.begin(await ServiceLife.begin(self._world, files, self._network.ways))


def forgeries(arrival: Arrival, now: datetime) -> tuple[InboundRequest, ...]:
    """Return copies of a delivery that do not come from its provider; half of them with an id nobody has seen."""
    message = arrival.message
    strange = replace(message, number=message.number + 50_000_000)
    if message.provider == "twilio":
        good = twilio_request(message, now, text=message.text)
        unsigned = {name: words for name, words in good.headers.items() if name != "x-twilio-signature"}
        return (
            twilio_request(strange, now, options=_STRANGER, text=message.text),
            replace(good, headers=unsigned),
            replace(twilio_request(strange, now, text=message.text), headers=good.headers),
            twilio_request(message, now, public_url="https://elsewhere.example", text=message.text),
        )
    if message.provider == "smpp":
        return (link_request(strange, now, token=""), link_request(message, now, token="0" * 64))
    good = request_of(message.provider, (arrival,), now)
    new = request_of(message.provider, (replace(arrival, message=strange),), now)
    return (
        replace(new, parts={"secret": "wrong"}),
        replace(good, parts={"secret": ""}),
        replace(new, remote="192.0.2.7"),
        replace(good, remote=""),
    )
