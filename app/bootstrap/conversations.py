"""What channels of messages stand on, made once at start-up: asking, outbox, courier, caps, listeners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from app.adapters.spending import DailySpending
from app.bootstrap.duties import Duty, Work, stop_all
from app.bootstrap.storage import Storage
from app.bootstrap.telephony import IVR
from app.core.errors import StoreUnavailable
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.core.ports.leadership import Leadership
from app.core.ports.sealing import Sealing
from app.logs import Logger
from app.settings import Settings
from channels.abilities import Carry, Listener, ListeningChannel, PushingChannel, Sender
from channels.asking import Asking
from channels.base import ChannelAdapter
from channels.courier import Courier
from channels.messages import Messages, MessageStores
from channels.pipeline import Pipeline
from channels.recalls import RecallNotices
from channels.wording.recall import RecallWords
from channels.wording.reply import Wording

_FLUSH_S: Final = 5.0
_WATCH_S: Final = 2.0
_OF_THE_MACHINE: Final = frozenset(
    {IVR}
)  # a switch calls the machine it is told; a message centre is called by us


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts of a service that conversations are made of."""

    settings: Settings
    storage: Storage
    spending: DailySpending
    sealing: Sealing
    asking: Asking
    wording: Wording
    journal: Journal
    clock: Clock


async def open_spending(settings: Settings, storage: Storage, clock: Clock) -> DailySpending:
    """Return the caps of the day with what was spent already. Raises ``StoreUnavailable``."""
    sms, ivr = settings.sms, settings.ivr
    spending = DailySpending(
        clock,
        settings.timezone,
        caps={"sms": sms.per_day, "transfer": ivr.transfers_per_day},
        per_caller_caps={"sms": sms.per_number_per_day, "transfer": ivr.transfers_per_number_per_day},
    )
    await spending.load(storage.spending)
    return spending


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations:
    """What answers messages, and the works behind it that must run once all over the service."""

    messages: Messages
    works: tuple[Work, ...]


@asynccontextmanager
async def conversations(
    service: Service, adapters: Collection[ChannelAdapter]
) -> AsyncIterator[Conversations]:
    """Yield what answers messages and what delivers; the day's spending is written behind."""
    outbox = service.storage.outbox(service.sealing)
    senders = _senders(adapters)
    courier = Courier(
        outbox=outbox,
        correspondence=service.storage.correspondence,
        asking=service.asking,
        wording=service.wording,
        senders=senders,
        journal=service.journal,
        clock=service.clock,
        forms={adapter.manifest.name: adapter.manifest.form for adapter in adapters},
    )
    spending = service.spending
    recalls = RecallNotices(
        watches=service.storage.recall_watches(service.sealing),
        outbox=outbox,
        words=RecallWords.load(service.settings.timezone),
        journal=service.journal,
        clock=service.clock,
        deliver=courier.nudge,
    )
    behind = asyncio.create_task(_write_behind(spending, service))
    messages = Messages(
        asking=service.asking,
        stores=MessageStores(outbox=outbox, correspondence=service.storage.correspondence, spending=spending),
        wording=service.wording,
        journal=service.journal,
        clock=service.clock,
        nudge=courier.nudge,
    )
    try:
        yield Conversations(messages=messages, works=(courier.run, recalls.run))
    finally:
        await stop_all([behind])
        await messages.close()
        for sender in senders:
            await sender.close()
        await _flush(spending, service)


def duties(
    adapters: Iterable[ChannelAdapter],
    pipeline: Pipeline,
    log: Logger,
    *,
    works: Iterable[Work],
    machine: Leadership,
    service: Leadership,
) -> tuple[Duty, ...]:
    """Return what runs once a machine, and what runs once all over the service: ``works``, and every listener.

    Deliveries and binds are one duty, because a text can only leave by the bind of its own process.
    """
    of_machine: list[Work] = []
    of_service = list(works)
    for adapter in adapters:
        if adapter.manifest.listens:
            own = of_machine if adapter.manifest.name in _OF_THE_MACHINE else of_service
            listeners = cast(ListeningChannel, adapter).listeners()
            own.extend(partial(_listen, one, partial(pipeline.carry, adapter), log) for one in listeners)
    return (
        Duty(role="switches", leadership=machine, works=of_machine),
        Duty(role="deliveries", leadership=service, works=of_service),
    )


async def _listen(listener: Listener, carry: Carry, log: Logger) -> None:
    """Run a listener, and say when it is cut off; cancelled, it finishes what is under way."""
    watching = asyncio.create_task(_watch(listener, log))
    try:
        await listener.listen(carry)
    finally:
        watching.cancel()


async def _watch(listener: Listener, log: Logger) -> None:
    """Write a line whenever a listener's trouble begins, changes or ends."""
    known = ""
    while True:
        await asyncio.sleep(_WATCH_S)
        trouble = listener.trouble
        if trouble != known:
            known = trouble
            if trouble:
                log.warning("listener_cut_off", name=listener.name, why=trouble)
            else:
                log.info("listener_connected", name=listener.name)


def _senders(adapters: Iterable[ChannelAdapter]) -> tuple[Sender, ...]:
    return tuple(
        sender
        for adapter in adapters
        if adapter.manifest.pushes
        for sender in cast(PushingChannel, adapter).senders()
    )


async def _write_behind(spending: DailySpending, service: Service) -> None:
    while True:
        await asyncio.sleep(_FLUSH_S)
        await _flush(spending, service)


async def _flush(spending: DailySpending, service: Service) -> None:
    try:
        await spending.flush(service.storage.spending)
    except StoreUnavailable as error:
        service.journal.failed("spending_not_written", error)
