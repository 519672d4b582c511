"""The running service: parts start in the order below and stop in reverse, each after those that use it.

Log, store, keys, engine, channels, server. A service whose keys are missing or wrong starts all the same: it answers
``unavailable`` and is not ready, because an answer made without the keys would be a lie.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from app.adapters.clock import SystemClock
from app.adapters.http import AiohttpCalls
from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.adapters.places import PhoneNumberPlaces
from app.bootstrap.chatting import WEB, WECHAT, web_options, wechat_settings
from app.bootstrap.conversations import Conversations, Service, conversations, duties, open_spending
from app.bootstrap.duties import Work, stop_all, take_up
from app.bootstrap.figures import open_metrics
from app.bootstrap.requirements import require_database
from app.bootstrap.seats import Post, Seat
from app.bootstrap.service_keys import ServiceKeys, keys_that_fit, open_keys
from app.bootstrap.sharing import Ground, Shared, open_shared
from app.bootstrap.storage import Storage, is_shared, open_storage
from app.bootstrap.telephony import IVR, open_hotline
from app.bootstrap.texting import SMS, load_wording, sms_settings, warn_of_idle_settings
from app.bootstrap.tracing import open_journal, trace_requests
from app.core.engine import ANSWERS_BESIDE_A_SERVER, EngineLimits, VerificationEngine
from app.core.errors import SettingsInvalid, StoreUnavailable, YanzhenError
from app.core.ports.clock import Clock
from app.core.ports.http_calls import HttpCalls
from app.core.ports.places import Places
from app.logs import Logger, Logs, configure_logs
from app.settings import Settings, unknown_environment
from app.web.health import Health
from app.web.server import ServerOptions, WebServer
from channels.asking import Asking
from channels.base import ChannelAdapter, ChannelContext
from channels.follow_up import FollowUp, FollowUpStores
from channels.pipeline import Pipeline
from channels.registry import CHANNELS, load_channels
from channels.window import DuplicateWindow
from channels.wording.reply import Wording

_GC_AT: Final = 50_000  # objects
_HOUSEKEEPING_S: Final = 600.0
_FORGET_SLICES: Final = 100
_PATIENCE_S: Final = 2.0
_PROOFS: Final = 40
_PROOF_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """A service that listens on ``port``; ``adapters`` are its channels, ``storage`` its record."""

    port: int
    adapters: tuple[ChannelAdapter, ...]
    storage: Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foundation:
    """What every channel stands on."""

    clock: SystemClock
    logs: Logs
    log: Logger
    storage: Storage
    keys: ServiceKeys
    journal: ServiceJournal
    metrics: PrometheusMetrics
    shared: Shared
    engine: VerificationEngine


@asynccontextmanager
async def running_service(settings: Settings, *, post: Post | None = None) -> AsyncIterator[RunningService]:
    """Start every part, for a worker those of its ``post``; on leaving, drain and stop them.

    Raises a ``YanzhenError`` with its remedy.
    """
    require_database(settings)
    async with AsyncExitStack() as parts:
        base = await _lay_foundation(settings, post, parts)
        journal, log = base.journal, base.log
        adapters, pipeline, talks = await _open_channels(settings, base, parts)
        server = WebServer(
            adapters,
            pipeline,
            clock=base.clock,
            journal=journal,
            health=Health({"record": base.engine.check}, clock=base.clock, journal=journal),
            metrics=base.metrics.render,
            options=_server_options(settings),
            static_folders=_static_folders(adapters),
        )
        if post is not None and post.seat.careful:
            await _prove(base.engine)
        await _listen(server, settings, post)
        works: list[Work] = [*talks.works, partial(_keep_house, base)]
        shared = base.shared
        on_duty = take_up(
            duties(
                adapters,
                pipeline,
                log,
                works=works,
                machine=shared.leads_machine,
                service=shared.leads_service,
            ),
            journal,
        )
        parts.push_async_callback(_drain, server, on_duty)
        tables = asyncio.create_task(asyncio.to_thread(base.keys.recogniser.tabulate))
        parts.push_async_callback(_end, tables)
        _spare_the_collector(parts)
        log.info("listening", host=settings.host, port=server.port, channels=_names(adapters))
        yield RunningService(port=server.port, adapters=adapters, storage=base.storage)
        log.info("draining", seconds=settings.drain_seconds)


async def _drain(server: WebServer, on_duty: list[asyncio.Task[None]]) -> None:
    """Hand the duties over while requests under way finish."""
    await asyncio.gather(server.stop(), stop_all(on_duty))


async def _prove(engine: VerificationEngine) -> None:
    """Wait until a verification could be recorded. Raises what keeps it from being so, after twenty seconds."""
    for left in reversed(range(_PROOFS)):
        try:
            await engine.check()
            return
        except YanzhenError:
            if not left:
                raise
            await asyncio.sleep(_PROOF_S)


async def _lay_foundation(settings: Settings, post: Post | None, parts: AsyncExitStack) -> _Foundation:
    """Start log, store, keys, what processes share, and engine."""
    clock = SystemClock()
    worker = None if post is None else post.seat.number
    logs = configure_logs(log_format=settings.log_format, level=settings.log_level, worker=worker)
    journal = open_journal(settings, logs, clock, parts)
    metrics = open_metrics(journal, post, parts)
    logs.start()
    parts.callback(logs.stop)
    log = logs.logger("service")
    parts.callback(lambda: log.info("stopped"))
    for name in unknown_environment():
        log.warning("unknown_setting", name=name, remedy="It sets nothing; docs/settings.md has the names.")
    warn_of_idle_settings(settings, log)
    storage = await open_storage(settings)
    parts.push_async_callback(storage.close)
    keys = open_keys(settings, log)
    ground = Ground(
        clock=clock,
        logs=logs,
        keys=keys,
        post=post,
        storage=storage,
        journal=journal,
        metrics=metrics,
        parts=parts,
    )
    shared = await open_shared(settings, ground)
    keys = keys_that_fit(keys, settings, await shared.catalogues.load(), log)
    engine = _engine(settings, storage, keys, shared, clock, journal)
    await engine.start()
    parts.push_async_callback(engine.close)
    return _Foundation(
        clock=clock,
        logs=logs,
        log=log,
        storage=storage,
        keys=keys,
        journal=journal,
        metrics=metrics,
        shared=shared,
        engine=engine,
    )


async def _open_channels(
    settings: Settings, base: _Foundation, parts: AsyncExitStack
) -> tuple[tuple[ChannelAdapter, ...], Pipeline, Conversations]:
    """Load the channels, the path of their requests, and what delivers their messages."""
    wording = load_wording(settings)
    calls = AiohttpCalls()
    parts.push_async_callback(calls.close)
    places = PhoneNumberPlaces()
    spending = await open_spending(settings, base.storage, base.clock)
    hotline = await open_hotline(settings, spending, base.shared.catalogues, base.log, parts)
    if hotline is not None or (SMS in settings.channels and settings.sms.any_provider):
        await asyncio.to_thread(places.load)  # a third of a second that no shopper should wait for
    own: dict[str, object] = {SMS: sms_settings(settings), IVR: hotline, WECHAT: wechat_settings(settings)}
    own[WEB] = web_options(settings)
    adapters = _load_channels(settings, _context(settings, base, wording, places, calls, own))
    asking = Asking(
        engine=base.engine,
        throttle=base.shared.throttle,
        window=DuplicateWindow(base.shared.window),
        journal=base.journal,
        clock=base.clock,
    )
    service = Service(
        settings=settings,
        storage=base.storage,
        spending=spending,
        sealing=base.keys.sealing,
        asking=asking,
        wording=wording,
        journal=base.journal,
        clock=base.clock,
    )
    talks = await parts.enter_async_context(conversations(service, adapters))
    pipeline = Pipeline(
        asking=asking,
        messages=talks.messages,
        follow_up=FollowUp(
            asking=asking,
            stores=FollowUpStores(
                reports=base.storage.reports(base.keys.sealing),
                calls=base.storage.calls,
                watches=base.storage.recall_watches(base.keys.sealing),
            ),
            journal=base.journal,
        ),
        wording=wording,
        journal=base.journal,
        clock=base.clock,
    )
    return adapters, trace_requests(pipeline, base.journal), talks


def _spare_the_collector(parts: AsyncExitStack) -> None:
    """Keep the collector from walking again and again what start-up made, which lives as long as the process, and,
    because queries leave no cycles, from looking at those under way seventy times a second.
    """
    gc.collect()
    gc.freeze()
    parts.callback(gc.unfreeze)
    parts.callback(gc.set_threshold, *gc.get_threshold())
    gc.set_threshold(_GC_AT, 20, 50)


def _engine(
    settings: Settings,
    storage: Storage,
    keys: ServiceKeys,
    shared: Shared,
    clock: Clock,
    journal: ServiceJournal,
) -> VerificationEngine:
    return VerificationEngine(
        recogniser=keys.recogniser,
        store=storage.verifications,
        catalogues=shared.catalogues,
        cache=shared.cache,
        clock=clock,
        journal=journal,
        limits=EngineLimits(
            queue=settings.engine.queue,
            batch=settings.engine.batch,
            answers=ANSWERS_BESIDE_A_SERVER if is_shared(settings) else settings.engine.batch,
        ),
    )


async def _keep_house(base: _Foundation) -> None:
    """Drop what may not be kept any longer (service rules, section 6), a bounded share every ten minutes."""
    while True:
        await asyncio.sleep(_HOUSEKEEPING_S)
        try:
            for _ in range(_FORGET_SLICES):
                if not await base.storage.verifications.forget(base.clock.now()):
                    break
        except StoreUnavailable as error:
            base.journal.failed("housekeeping_failed", error)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


async def _listen(server: WebServer, settings: Settings, post: Post | None) -> None:
    try:
        await server.start(() if post is None else post.sockets())
    except OSError as error:
        raise StoreUnavailable(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror or error}). Stop what uses it, or "
            "choose another --port."
        ) from error


def serve(
    settings: Settings,
    *,
    announce: Callable[[RunningService], None] | None = None,
    seat: Seat | None = None,
) -> None:
    """Run the service until SIGTERM, SIGINT or SIGHUP, on a worker's ``seat`` also until its supervisor is gone.

    ``announce`` is called once it listens.
    """

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        async with AsyncExitStack() as parts:
            post = None
            if seat is not None:
                post = await Post.open(seat, stop.set)
                parts.push_async_callback(post.close)
            service = await parts.enter_async_context(running_service(settings, post=post))
            if announce is not None:
                announce(service)
            if post is not None:
                post.say_ready()
            await stop.wait()

    _leave_no_core()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())
    gc.freeze()  # the process ends, and need not look through all it holds once more, for a tenth of a second


def _leave_no_core() -> None:
    """Keep the kernel from writing memory to a file where the process dies: numbers of those who ask stand in it."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _names(adapters: tuple[ChannelAdapter, ...]) -> tuple[str, ...]:
    """Return the channels that have an address or a listener, each once."""
    return tuple(dict.fromkeys(adapter.manifest.name for adapter in adapters))


def _context(
    settings: Settings,
    base: _Foundation,
    wording: Wording,
    places: Places,
    calls: HttpCalls,
    own: Mapping[str, object],
) -> ChannelContext:
    engine = base.engine
    return ChannelContext(
        wording=wording,
        identities=base.keys.identities,
        clock=base.clock,
        public_url=settings.public_url,
        timezone=settings.timezone,
        lengths=lambda: engine.catalogue.lengths,
        issued_lengths=lambda: engine.catalogue.issued_lengths,
        places=places,
        calls=calls,
        cache=base.shared.cache,
        settings=own,
    )


def _load_channels(settings: Settings, context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    unknown = sorted(set(settings.channels) - CHANNELS.keys())
    if unknown:
        raise SettingsInvalid(
            f"channels: there is no {', '.join(unknown)}; known are {', '.join(sorted(CHANNELS))}."
        )
    return load_channels(settings.channels, context)


def _server_options(settings: Settings) -> ServerOptions:
    return ServerOptions(
        public_url=settings.public_url,
        host=settings.host,
        port=settings.port,
        trusted_proxies=settings.trusted_proxies,
        metrics_from=settings.metrics_from,
        drain_s=float(settings.drain_seconds),
        patience_s=min(_PATIENCE_S, settings.drain_seconds / 4),
    )


def _static_folders(adapters: tuple[ChannelAdapter, ...]) -> list[Path]:
    """Return the ``static`` folder of each channel that has one; channels may share it."""
    folders: dict[Path, None] = {}
    for adapter in adapters:
        file = sys.modules[type(adapter).__module__].__file__
        folder = Path(file).parent / "static" if file else None
        if folder is not None and folder.is_dir():
            folders[folder] = None
    return list(folders)
