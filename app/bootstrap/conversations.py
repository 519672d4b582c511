"""What channels of messages stand on, made once at start-up: asking, outbox, courier, caps, listeners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from app.adapters.spending import DailySpending
from app.adapters.storage.sqlite import SqliteStorage
from app.core.errors import StoreUnavailable
from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.core.ports.sealing import Sealing
from app.logs import Logger
from app.settings import Settings
from channels.abilities import Listener, ListeningChannel, PushingChannel, Sender
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
_STOP_WITHIN_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts of a service that conversations are made of."""

    settings: Settings
    storage: SqliteStorage
    spending: DailySpending
    sealing: Sealing
    asking: Asking
    wording: Wording
    journal: Journal
    clock: Clock


async def open_spending(settings: Settings, storage: SqliteStorage, clock: Clock) -> DailySpending:
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


@asynccontextmanager
async def conversations(service: Service, adapters: Collection[ChannelAdapter]) -> AsyncIterator[Messages]:
    """Yield what answers messages, with the courier delivering and the day's spending written behind."""
    outbox = service.storage.outbox(service.sealing)
    senders = _senders(adapters)
    courier = Courier(
        outbox=outbox,
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
    tasks = [
        asyncio.create_task(courier.run()),
        asyncio.create_task(recalls.run()),
        asyncio.create_task(_write_behind(spending, service)),
    ]
    try:
        yield Messages(
            asking=service.asking,
            stores=MessageStores(
                outbox=outbox, correspondence=service.storage.correspondence, spending=spending
            ),
            wording=service.wording,
            journal=service.journal,
            clock=service.clock,
            nudge=courier.nudge,
        )
    finally:
        await _stop(tasks)
        for sender in senders:
            await sender.close()
        await _flush(spending, service)


@asynccontextmanager
async def listening(
    adapters: Iterable[ChannelAdapter], pipeline: Pipeline, log: Logger
) -> AsyncIterator[None]:
    """Run every listener, and say when one is cut off; on leaving, each finishes what is under way."""
    pairs = [
        (adapter, listener)
        for adapter in adapters
        if adapter.manifest.listens
        for listener in cast(ListeningChannel, adapter).listeners()
    ]
    tasks = [asyncio.create_task(one.listen(partial(pipeline.carry, adapter))) for adapter, one in pairs]
    if pairs:
        tasks.append(asyncio.create_task(_watch([listener for _, listener in pairs], log)))
    try:
        yield
    finally:
        await _stop(tasks)


async def _watch(listeners: list[Listener], log: Logger) -> None:
    """Write a line whenever a listener's trouble begins, changes or ends."""
    known = [""] * len(listeners)
    while True:
        await asyncio.sleep(_WATCH_S)
        for index, listener in enumerate(listeners):
            trouble = listener.trouble
            if trouble == known[index]:
                continue
            known[index] = trouble
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


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_STOP_WITHIN_S)


async def _write_behind(spending: DailySpending, service: Service) -> None:
    while True:
        await asyncio.sleep(_FLUSH_S)
        await _flush(spending, service)


async def _flush(spending: DailySpending, service: Service) -> None:
    try:
        await spending.flush(service.storage.spending)
    except StoreUnavailable as error:
        service.journal.failed("spending_not_written", error)
