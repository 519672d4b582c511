"""A machine: the real channels, pipeline, engine and courier over what all share. It starts, stops and dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.adapters.cache.memory import MemoryCache
from app.adapters.identities import KeyedIdentities
from app.core.engine import VerificationEngine
from app.core.errors import StoreUnavailable
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.http_calls import HttpCalls
from app.core.ports.throttle import Throttle
from app.issuing.keyring import SecretName
from app.issuing.recogniser import CodebookRecogniser
from channels.abilities import Sender
from channels.asking import Asking
from channels.base import ChannelAdapter, ChannelContext, InboundRequest, OutboundResponse
from channels.courier import Courier
from channels.follow_up import FollowUp, FollowUpStores
from channels.messages import Messages, MessageStores
from channels.pipeline import Pipeline
from channels.window import DuplicateWindow
from channels.wording.forms import TextForm
from channels.wording.reply import Wording
from tests.fakes.fake_places import FakePlaces
from tests.fakes.fake_spending import FakeSpending
from tests.fakes.memory_call_records import MemoryCallRecords
from tests.fakes.memory_recall_watches import MemoryRecallWatches
from tests.fakes.memory_reports import MemoryReports
from tests.fakes.memory_store import MemoryStore
from tests.fakes.sample_service import fixed_keyring, sample_catalogue
from tests.proof.simulation.loop import LIFE, Life
from tests.proof.simulation.messages import Delivery, Message
from tests.proof.simulation.shared import Books, RemoteCache, RemoteThrottle, Stores
from tests.proof.simulation.world import DELIVERY, SkewedClock, Wire, World

PUBLIC_URL = "https://verify.example"
MakeChannels = Callable[[ChannelContext, World], tuple[dict[str, ChannelAdapter], tuple[Sender, ...]]]
Respond = Callable[[OutboundResponse | None], None]
_DRAINS_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all schedules share, because it never changes."""

    wording: Wording
    identities: KeyedIdentities
    recogniser: CodebookRecogniser
    follow_up: FollowUpStores


@cache
def ground() -> Ground:
    """Return it; made once a process."""
    keyring = fixed_keyring()
    return Ground(
        wording=Wording.load("Asia/Shanghai"),
        identities=KeyedIdentities(
            caller_key=keyring.secret(SecretName.CALLER).key, result_key=keyring.secret(SecretName.RESULT).key
        ),
        recogniser=CodebookRecogniser(lambda: keyring),
        follow_up=FollowUpStores(
            reports=MemoryReports(),
            calls=MemoryCallRecords(),
            watches=MemoryRecallWatches(MemoryStore(sample_catalogue(keyring))),
        ),
    )


class WorldJournal:
    """The journal of all machines: it knows which message every verdict was for."""

    def __init__(self, world: World, messages: dict[tuple[str, str], Message]) -> None:
        self._world = world
        self._messages = messages

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        message = self._messages.get((request.channel, request.message_id or ""))
        self._world.counts["answers"] += 1
        self._world.counts["throttled"] += verdict.outcome is Outcome.THROTTLED
        if message is None:
            self._world.breach(f"an answer to nobody's message {request.message_id}")
            return
        message.verdicts.append((self._world.now_s, verdict))
        self._world.told("answered", f"{message.channel}/{message.number}", verdict.outcome, verdict.ordinal)

    def refused(self, channel: str, reason: str) -> None:
        self._world.breach(f"a sound request on {channel} was refused as {reason}")

    def committed(self, drafts: int, took_ms: float) -> None:
        """Tell nothing."""

    def counted(self, event: str, channel: str, number: int = 1) -> None:
        self._world.counts[event] += number
        self._world.told("counted", event, channel)

    def failed(self, event: str, error: BaseException) -> None:
        self._world.told("failed", event, type(error).__name__)
        if not isinstance(error, StoreUnavailable | TimeoutError):
            self._world.breach(f"{event}: {error!r}")


@dataclass(slots=True, eq=False)
class _Parts:
    """What a running machine is made of."""

    life: Life
    clock: SkewedClock
    stores: Stores
    engine: VerificationEngine
    pipeline: Pipeline
    courier: Courier
    messages: Messages
    adapters: dict[str, ChannelAdapter]
    senders: tuple[Sender, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What every machine of a schedule is made from."""

    world: World
    books: Books
    cache: MemoryCache
    throttle: Throttle
    journal: WorldJournal
    make_channels: MakeChannels
    make_calls: Callable[[World], HttpCalls]
    watch: Callable[[Stores], Stores]  # looks at what passes
    remote_cache: Callable[[MemoryCache, World], Any] = RemoteCache


class Machine:
    """One machine of a schedule; ``up`` while it takes requests."""

    def __init__(self, site: Site, number: int) -> None:
        self.up = False
        self._site = site
        self._number = number
        self._runs = 0
        self._skew_s = site.world.chance.uniform(-1, 1) * site.world.weather.skew_s
        self._parts: _Parts | None = None
        self._serving: dict[asyncio.Task[None], Respond] = {}
        self._delivering: asyncio.Task[None] | None = None
        self._context = copy_context()

    @property
    def name(self) -> str:
        return f"m{self._number}.{self._runs}"

    async def start(self) -> None:
        """Begin a new life; returns once it takes requests."""
        self._runs += 1
        life = Life(self.name)
        self._context = copy_context()
        self._context.run(LIFE.set, life)
        self._parts = parts = self._make(life)
        self._site.world.told("starts", self.name)
        await _ended(self._task(self._boot(parts)), life)
        self.up = not life.crashed

    def lead(self) -> None:
        """Deliver what the outbox owes, until told otherwise or dead."""
        if self._parts is not None and self.up and self._delivering is None:
            self._site.world.told("leads", self.name)
            self._delivering = self._task(self._parts.courier.run())

    @property
    def leads(self) -> bool:
        return self._delivering is not None

    def receive(
        self, delivery: Delivery, channel: str, build: Callable[[Any], InboundRequest], respond: Respond
    ) -> Callable[[], object]:
        """Take a request; ``respond`` is called with the response, or with None where there will be none.

        Returns what cancels it.
        """
        if not self.up or self._parts is None:
            respond(None)
            return lambda: None
        delivery.life, delivery.arrived_s = self._parts.life, self._site.world.now_s
        context = self._context.copy()
        context.run(DELIVERY.set, delivery)
        self._site.world.told("arrives", delivery, self.name)
        task = self._site.world.loop.create_task(
            self._serve(self._parts, delivery, channel, build, respond), context=context
        )
        self._serving[task] = respond
        task.add_done_callback(lambda done: self._serving.pop(done, None))

        def cancel() -> None:
            delivery.cancelled = True
            task.cancel()

        return cancel

    def crash(self) -> None:
        """Lose everything that is in memory, at once."""
        if self._parts is None or self._parts.life.crashed:
            return
        world = self._site.world
        world.told("crashes", self.name)
        world.counts["crashes"] += 1
        self._parts.life.crashed = True
        self.up, self._delivering, self._parts = False, None, None
        for respond in self._serving.values():
            respond(None)
        for look in world.on_crash:
            look()
        self._serving = {}

    async def stop(self) -> None:
        """Finish what is under way and end in order; a breach where that takes too long."""
        parts = self._parts
        if parts is None or not self.up:
            return
        world = self._site.world
        world.told("stops", self.name)
        self.up = False
        try:
            async with asyncio.timeout(_DRAINS_WITHIN_S):
                delivering, self._delivering = self._delivering, None
                if delivering is not None:
                    delivering.cancel()
                for task in (*self._serving, *((delivering,) if delivering else ())):
                    await _ended(task, parts.life)
                await _ended(self._task(_close(parts)), parts.life)
        except TimeoutError:
            world.breach(f"{self.name} was not drained within {_DRAINS_WITHIN_S:.0f} s")
        if self._parts is parts:
            self._parts = None
        world.told("stopped", self.name)

    def _task(self, coroutine: Any) -> asyncio.Task[None]:
        return self._site.world.loop.create_task(coroutine, context=self._context.copy())

    async def _boot(self, parts: _Parts) -> None:
        while True:
            with suppress(StoreUnavailable):
                await parts.engine.start()
                return
            await self._site.world.pause(0.2)

    async def _serve(
        self,
        parts: _Parts,
        delivery: Delivery,
        channel: str,
        build: Callable[[Any], InboundRequest],
        respond: Respond,
    ) -> None:
        world = self._site.world
        try:
            response = await parts.pipeline.carry(parts.adapters[channel], build(parts.clock.now()))
        except Exception as error:  # noqa: BLE001 - the pipeline promises that there is none
            world.breach(f"the pipeline raised {error!r} for {delivery}")
            return
        delivery.ended_s = world.now_s
        world.told("responds", delivery, response.status)
        respond(response)

    def _make(self, life: Life) -> _Parts:
        site, base = self._site, ground()
        world, clock = site.world, SkewedClock(site.world.loop, self._skew_s)
        stores = site.watch(site.books.stores(Wire(world, life)))
        cache = site.remote_cache(site.cache, world)
        engine = VerificationEngine(
            recogniser=base.recogniser,
            store=stores.verifications,
            catalogues=stores.catalogues,
            cache=cache,
            clock=clock,
            journal=site.journal,
        )
        context = ChannelContext(
            wording=base.wording,
            identities=base.identities,
            clock=clock,
            public_url=PUBLIC_URL,
            timezone="Asia/Shanghai",
            lengths=lambda: engine.catalogue.lengths,
            issued_lengths=lambda: engine.catalogue.issued_lengths,
            places=FakePlaces(),
            calls=site.make_calls(world),
            cache=cache,
        )
        adapters, senders = site.make_channels(context, world)
        asking = Asking(
            engine=engine,
            throttle=RemoteThrottle(site.throttle, world),
            window=DuplicateWindow(cache),
            journal=site.journal,
            clock=clock,
        )
        courier = Courier(
            outbox=stores.outbox,
            correspondence=stores.correspondence,
            asking=asking,
            wording=base.wording,
            senders=senders,
            journal=site.journal,
            clock=clock,
            forms={"wechat": TextForm.CHAT},
        )
        messages = Messages(
            asking=asking,
            stores=MessageStores(
                outbox=stores.outbox, correspondence=stores.correspondence, spending=FakeSpending()
            ),
            wording=base.wording,
            journal=site.journal,
            clock=clock,
            nudge=courier.nudge,
        )
        pipeline = Pipeline(
            asking=asking,
            messages=messages,
            follow_up=FollowUp(asking=asking, stores=base.follow_up, journal=site.journal),
            wording=base.wording,
            journal=site.journal,
            clock=clock,
        )
        return _Parts(
            life=life,
            clock=clock,
            stores=stores,
            engine=engine,
            pipeline=pipeline,
            courier=courier,
            messages=messages,
            adapters=adapters,
            senders=senders,
        )


async def _ended(task: asyncio.Task[None], life: Life) -> None:
    """Wait for a machine's task, or for the machine's death."""
    while not task.done() and not life.crashed:
        await asyncio.wait((task,), timeout=2.0)


async def _close(parts: _Parts) -> None:
    await parts.messages.close()
    for sender in parts.senders:
        await sender.close()
    await parts.engine.close()
