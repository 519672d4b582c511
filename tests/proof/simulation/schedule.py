"""One seed played to its end: who writes what and when, how it is brought, which machine dies, and what was broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial

from app.core.model.catalogue import Catalogue
from app.core.model.reply import OwedReply
from channels.base import InboundRequest, OutboundResponse
from tests.fakes.sample_service import fixed_codebook, fixed_keyring, sample_catalogue
from tests.proof.simulation.checks import check
from tests.proof.simulation.loop import NeverEnds
from tests.proof.simulation.machines import Machine, Site, WorldJournal, ground
from tests.proof.simulation.messages import Delivery, Message, Said, Wish
from tests.proof.simulation.mutants import SOUND, Mutant
from tests.proof.simulation.providers import (
    PROVIDERS,
    Provider,
    ProviderCalls,
    delivery_report,
    make_channels,
)
from tests.proof.simulation.shared import (
    FIRST_SERIAL,
    Books,
    Stores,
    WatchedCorrespondence,
    WatchedOutbox,
    shared_cache,
    shared_throttle,
)
from tests.proof.simulation.world import World

_LABELS = 3
_CALLERS = 3
_PAUSE_S = 2.0
_OWED_WITHIN_S = 1500.0


@dataclass(slots=True)
class Outcome:
    """What a schedule came to."""

    seed: int
    breaches: list[str]
    trace: Callable[[], list[str]]
    counts: dict[str, int]


@cache
def catalogue() -> Catalogue:
    """Return the catalogue of every schedule in memory."""
    return sample_catalogue(fixed_keyring())


@cache
def code(serial: int) -> str:
    """Return the code of a label."""
    return fixed_codebook().make(serial, tag_key_id=1)


@cache
def unknown_code() -> str:
    """Return a sound code of no label."""
    return code(FIRST_SERIAL + 10**9)


@cache
def slip() -> str:
    """Return digits that one slip does not explain."""
    digits = unknown_code()
    return digits[:4] + str((int(digits[4]) + 3) % 10) + digits[5:]


@dataclass(slots=True)
class Play:
    """A schedule under way."""

    world: World
    books: Books
    machines: list[Machine] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    by_id: dict[tuple[str, str], Message] = field(default_factory=dict)
    by_key: dict[bytes, Message] = field(default_factory=dict)
    by_reply: dict[int, Message] = field(default_factory=dict)
    opted: dict[bytes, list[tuple[float, bool]]] = field(default_factory=dict)
    doubts: list[Message] = field(default_factory=list)
    reporting: list[asyncio.Task[None]] = field(default_factory=list)

    # -- the cast --------------------------------------------------------------------------------------------

    def write_messages(self) -> None:
        """Draw who writes what, and when."""
        world, chance = self.world, self.world.chance
        for number in range(chance.randint(2, 6)):
            provider = chance.choice(PROVIDERS)
            wish = chance.choices(
                (Wish.CODE, Wish.UNKNOWN, Wish.SLIP, Wish.STOP, Wish.START), (70, 8, 10, 8, 4)
            )[0]
            if provider.spoken != "sms" and wish in (Wish.STOP, Wish.START):
                wish = Wish.CODE
            caller, serial = chance.randrange(_CALLERS), self.books.first_serial + chance.randrange(_LABELS)
            text = {
                Wish.CODE: code(serial),
                Wish.UNKNOWN: unknown_code(),
                Wish.SLIP: slip(),
                Wish.STOP: "TD",
                Wish.START: "KT",
            }[wish]
            token = provider.caller(caller)
            message_id = provider.message_id(number, token, text)
            account = {"api": "", "wechat": "official-account"}.get(provider.channel, provider.channel)
            message = Message(
                number=number,
                channel=provider.channel,
                caller=caller,
                wish=wish,
                text=text,
                label=serial,
                key=ground().recogniser.message_key(provider.spoken, account, message_id),
                token=token,
                message_id=message_id,
                sent_s=world.now_s + chance.random() * world.weather.trouble_s * 0.8,
            )
            self.messages.append(message)
            self.by_id[provider.spoken, message_id] = message
            self.by_key[message.key] = message

    async def run(self) -> None:
        """Play it."""
        world = self.world
        await asyncio.gather(*(machine.start() for machine in self.machines))
        electing = world.outside(self._elect())
        chaos = [world.outside(self._trouble(machine)) for machine in self.machines]
        bringing = [
            world.outside(self._bring(message, _provider(message.channel))) for message in self.messages
        ]
        if world.chance.random() < 0.2:
            world.loop.later(world.chance.random() * world.weather.trouble_s, self.books.recall)
        await asyncio.gather(*bringing, *chaos)
        await self._wait_until_nothing_is_owed()
        await asyncio.gather(*self.reporting)
        await self.world.pause(_PAUSE_S)  # what is on its way arrives
        electing.cancel()
        await asyncio.wait((electing,))
        await asyncio.gather(*(machine.stop() for machine in self.machines))

    # -- machines --------------------------------------------------------------------------------------------

    async def _elect(self) -> None:
        """See to it that somebody delivers; a machine that died is noticed after some seconds."""
        while True:
            up = [machine for machine in self.machines if machine.up]
            if self.world.weather.everybody_delivers:
                for machine in up:
                    machine.lead()
            elif up and not any(machine.leads for machine in up):
                self.world.chance.choice(up).lead()
            await self.world.pause(self.world.chance.uniform(1.0, 5.0))

    async def _trouble(self, machine: Machine) -> None:
        """Let one machine crash and stop, at drawn moments, and start again."""
        world, chance, weather = self.world, self.world.chance, self.world.weather
        many = len(self.machines)
        blows = [True] * _share(chance.random(), weather.crashes, many)
        blows += [False] * _share(chance.random(), weather.stops, many)
        for crash in sorted(blows, key=lambda _: chance.random()):
            await self.world.pause(chance.uniform(0.0, weather.trouble_s / len(blows)))
            if crash:
                machine.crash()
            else:
                world.counts["stops"] += 1
                if chance.random() < 0.3:
                    world.loop.later(chance.uniform(0.0, 5.0), self._crash_in_trouble, machine)
                await machine.stop()
            await self.world.pause(chance.uniform(0.1, 6.0))
            await machine.start()
        while world.troubled or not machine.up:
            await self.world.pause(_PAUSE_S)
            if not machine.up:
                await machine.start()

    def _crash_in_trouble(self, machine: Machine) -> None:
        if self.world.troubled:
            machine.crash()

    # -- deliveries ------------------------------------------------------------------------------------------

    async def _bring(self, message: Message, provider: Provider) -> None:
        """Bring a message until it is accepted, and again when nobody needs it."""
        world, chance, weather = self.world, self.world.chance, self.world.weather
        await self.world.pause(message.sent_s - world.now_s)
        also: list[asyncio.Task[None]] = []
        for number in range(provider.tries):
            if number == 0 and world.happens(weather.doubled):
                also.append(world.outside(self._bring_beside(message, provider)))
            response = await self._deliver(message, provider)
            if response is not None and provider.accepts(response):
                message.accepted_s = world.now_s
                break
            await self.world.pause(0.0 if provider.tries == 3 else chance.uniform(0.1, 1.0 + number))
        else:
            message.gone = True
        if world.happens(weather.again):
            await self.world.pause(chance.random() ** 2 * 40.0)
            await self._deliver(message, provider, listens=False)
        if also:
            await asyncio.wait(also)

    async def _bring_beside(self, message: Message, provider: Provider) -> None:
        await self.world.pause(self.world.chance.random() ** 3)
        await self._deliver(message, provider, listens=False)

    async def _deliver(
        self, message: Message, provider: Provider, *, listens: bool = True
    ) -> OutboundResponse | None:
        """Bring a message once; ``listens``: what the response says reaches the person, if it comes in time."""
        world = self.world
        delivery = Delivery(message=message, number=len(message.deliveries), sent_s=world.now_s)
        message.deliveries.append(delivery)
        world.counts["redeliveries"] += delivery.number > 0

        def hear(response: OutboundResponse) -> None:
            text = provider.read(response)
            if text:
                message.said.append(Said(text=text, at_s=world.now_s, pushed=False, heard=False))

        build = partial(provider.request, message)
        response = await self._exchange(delivery, provider, build, hear)
        if response is not None and listens and (text := provider.read(response)):
            message.said.append(Said(text=text, at_s=world.now_s, pushed=False, heard=True))
        return response

    async def _exchange(
        self,
        delivery: Delivery,
        provider: Provider,
        build: Callable[..., InboundRequest],
        hear: Callable[[OutboundResponse], None],
    ) -> OutboundResponse | None:
        """Send a request to some machine and wait for its response, as long as the provider does."""
        world = self.world
        future: asyncio.Future[OutboundResponse | None] = world.loop.create_future()
        cancels: list[Callable[[], object]] = []

        def respond(response: OutboundResponse | None) -> None:
            if response is not None:
                hear(response)
                if world.happens(world.weather.wire_lost):
                    return
            world.loop.later(world.wire_s(), settle, response)

        def settle(response: OutboundResponse | None) -> None:
            if not future.done():
                future.set_result(response)

        def arrive() -> None:
            machine = world.chance.choice(self.machines)
            cancels.append(machine.receive(delivery, provider.channel, build, respond))

        if not world.happens(world.weather.wire_lost):
            world.loop.later(world.wire_s(), arrive)
        try:
            async with asyncio.timeout(provider.waits_s):
                return await future
        except TimeoutError:
            if cancels and world.happens(world.weather.gives_up):
                world.told("gives up", delivery)
                cancels[0]()
            return None

    # -- what passes -----------------------------------------------------------------------------------------

    def watch(self, stores: Stores) -> Stores:
        """Return the stores of a machine, watched."""

        def opted(token: bytes, out: bool) -> None:
            self.opted.setdefault(token, []).append((self.world.now_s, out))

        return replace(
            stores,
            outbox=WatchedOutbox(stores.outbox, self._taken),
            correspondence=WatchedCorrespondence(stores.correspondence, opted),
        )

    def doubted(self, message: Message) -> bool:
        """Tell whether a courier was told that a push of it was in doubt."""
        return message in self.doubts

    def _taken(self, reply: OwedReply) -> None:
        message = self.by_key.get(reply.key)
        if message is None:
            self.world.breach(f"reply {reply.id} is owed to nobody's message")
            return
        self.by_reply[reply.id] = message
        if reply.doubtful:
            self.doubts.append(message)
        self.world.told(
            "taken", reply.id, f"{message.channel}/{message.number}", reply.doubtful and "doubtful"
        )

    # -- pushes ----------------------------------------------------------------------------------------------

    def pushed(self, reply: int, text: str) -> None:
        """A provider took a push."""
        message = self.by_reply.get(reply)
        if message is None:
            self.world.breach(f"a push for reply {reply}, which nobody owes")
            return
        self.world.told("pushed", f"{message.channel}/{message.number}")
        message.said.append(Said(text=text, at_s=self.world.now_s, pushed=True, heard=True, reply=reply))

    def report(self, reply: int, sid: str) -> None:
        """Tell one day what became of a push."""
        if self.world.chance.random() < 0.5:
            self.reporting.append(self.world.outside(self._report(reply, sid)))

    async def _report(self, reply: int, sid: str) -> None:
        chance = self.world.chance
        message = self.by_reply[reply]
        for state in ("sent", "delivered"):
            await self.world.pause(chance.random() ** 2 * 40.0)
            delivery = Delivery(message=message, number=-1, sent_s=self.world.now_s)
            build = partial(delivery_report, reply, sid, state)
            await self._exchange(delivery, _provider("twilio"), build, lambda _: None)

    async def _wait_until_nothing_is_owed(self) -> None:
        world = self.world
        give_up_at = world.now_s + _OWED_WITHIN_S
        while self.books.owed() or world.troubled:
            if world.now_s > give_up_at:
                world.breach(f"{self.books.owed()} replies were still owed after {_OWED_WITHIN_S:.0f} s")
                return
            await self.world.pause(_PAUSE_S)


def _provider(channel: str) -> Provider:
    return next(provider for provider in PROVIDERS if provider.channel == channel)


def _share(drawn: float, number: int, many: int) -> int:
    return int(number / many + drawn)


def play(seed: int, mutant: Mutant = SOUND) -> Outcome:
    """Play one seed and return what came of it. Deterministic."""
    world = World.of(seed)
    kept = mutant.books(world, catalogue())
    show = Play(world, kept)
    show.write_messages()
    world.on_push, world.on_report = show.pushed, show.report
    site = Site(
        world=world,
        books=kept,
        cache=shared_cache(world),
        throttle=shared_throttle(world),
        journal=WorldJournal(world, show.by_id),
        make_channels=make_channels,
        make_calls=ProviderCalls,
        watch=show.watch,
        remote_cache=mutant.cache,
    )
    show.machines = [Machine(site, number) for number in range(world.chance.choice((2, 2, 3)))]
    try:
        world.loop.run_until_complete(world.outside(show.run()))
        for left in world.loop.hanging():
            world.breach(left)
        check(show)
    except NeverEnds as error:
        world.breach(str(error))
    finally:
        for complaint in world.loop.complaints:
            world.breach(complaint)
        world.loop.bury()
        kept.close()
    world.counts["messages"] = len(show.messages)
    return Outcome(seed, world.breaches, world.trace, dict(world.counts))
