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
from importlib.metadata import version
from pathlib import Path
from secrets import token_bytes
from typing import Final

from app.adapters.cache.memory import MemoryCache
from app.adapters.clock import SystemClock
from app.adapters.http import AiohttpCalls
from app.adapters.identities import KeyedIdentities
from app.adapters.journal import ServiceJournal
from app.adapters.metrics import PrometheusMetrics
from app.adapters.places import PhoneNumberPlaces
from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.sqlite import SqliteStorage, open_sqlite
from app.adapters.throttle import DEFAULT_LIMITS, Limit, MemoryThrottle, UnlimitedThrottle
from app.bootstrap.chatting import WEB, WECHAT, web_options, wechat_settings
from app.bootstrap.conversations import Service, conversations, listening, open_spending
from app.bootstrap.requirements import require_database, require_fit
from app.bootstrap.telephony import IVR, open_hotline
from app.bootstrap.texting import SMS, load_wording, sms_settings, warn_of_idle_settings
from app.core.engine import EngineLimits, VerificationEngine
from app.core.errors import KeyFileInvalid, KeyMissing, SettingsInvalid, StoreUnavailable
from app.core.model.catalogue import Catalogue
from app.core.ports.clock import Clock
from app.core.ports.http_calls import HttpCalls
from app.core.ports.places import Places
from app.core.ports.sealing import Sealing
from app.core.ports.throttle import Throttle
from app.issuing.key_file import KeyFile
from app.issuing.keyring import Keyring, SecretName
from app.issuing.recogniser import CodebookRecogniser
from app.logs import Logger, Logs, configure_logs
from app.settings import Settings, ThrottleSettings, unknown_environment
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
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0
_HOUSEKEEPING_S: Final = 600.0
_FORGET_SLICES: Final = 100
_WINDOW_ENTRIES: Final = 50_000  # of some 400 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """A service that listens on ``port``; ``adapters`` are its channels, ``storage`` its record."""

    port: int
    adapters: tuple[ChannelAdapter, ...]
    storage: SqliteStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    recogniser: CodebookRecogniser
    identities: KeyedIdentities
    sealing: Sealing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Foundation:
    """What every channel stands on."""

    clock: SystemClock
    logs: Logs
    log: Logger
    storage: SqliteStorage
    keys: _Keys
    journal: ServiceJournal
    cache: MemoryCache
    engine: VerificationEngine


@asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[RunningService]:
    """Start every part; on leaving, drain and stop them. Raises a ``YanzhenError`` with its remedy."""
    require_database(settings)
    async with AsyncExitStack() as parts:
        base = await _lay_foundation(settings, parts)
        clock, journal, log = base.clock, base.journal, base.log
        adapters, pipeline = await _open_channels(settings, base, parts)
        server = WebServer(
            adapters,
            pipeline,
            clock=clock,
            journal=journal,
            health=Health({"record": base.engine.check}, clock=clock, journal=journal),
            metrics=PrometheusMetrics(journal, version=version("yanzhen")).render,
            options=_server_options(settings),
            static_folders=_static_folders(adapters),
        )
        await _listen(server, settings)
        parts.push_async_callback(server.stop)
        await parts.enter_async_context(listening(adapters, pipeline, log))
        tables = asyncio.create_task(asyncio.to_thread(base.keys.recogniser.tabulate))
        parts.push_async_callback(_end, tables)
        housekeeper = asyncio.create_task(_keep_house(base.storage, clock, journal))
        parts.push_async_callback(_end, housekeeper)
        _spare_the_collector(parts)
        log.info("listening", host=settings.host, port=server.port, channels=_names(adapters))
        yield RunningService(port=server.port, adapters=adapters, storage=base.storage)
        log.info("draining", seconds=settings.drain_seconds)


async def _lay_foundation(settings: Settings, parts: AsyncExitStack) -> _Foundation:
    """Start log, store, keys and engine."""
    clock = SystemClock()
    logs = configure_logs(log_format=settings.log_format, level=settings.log_level)
    logs.start()
    parts.callback(logs.stop)
    log = logs.logger("service")
    parts.callback(lambda: log.info("stopped"))
    for name in unknown_environment():
        log.warning("unknown_setting", name=name, remedy="It sets nothing; docs/settings.md has the names.")
    warn_of_idle_settings(settings, log)
    storage = await open_sqlite(settings.database_path)
    parts.push_async_callback(storage.close)
    keys = _open_keys(settings, await storage.catalogues.load(), log)
    journal = ServiceJournal(logs, clock)
    cache = MemoryCache(clock)
    engine = _engine(settings, storage, keys, cache, clock, journal)
    await engine.start()
    parts.push_async_callback(engine.close)
    return _Foundation(
        clock=clock,
        logs=logs,
        log=log,
        storage=storage,
        keys=keys,
        journal=journal,
        cache=cache,
        engine=engine,
    )


async def _open_channels(
    settings: Settings, base: _Foundation, parts: AsyncExitStack
) -> tuple[tuple[ChannelAdapter, ...], Pipeline]:
    """Load the channels and the path of their requests."""
    wording = load_wording(settings)
    calls = AiohttpCalls()
    parts.push_async_callback(calls.close)
    places = PhoneNumberPlaces()
    spending = await open_spending(settings, base.storage, base.clock)
    hotline = await open_hotline(settings, spending, base.storage.catalogues, base.log, parts)
    if hotline is not None or (SMS in settings.channels and settings.sms.any_provider):
        await asyncio.to_thread(places.load)  # a third of a second that no shopper should wait for
    own: dict[str, object] = {SMS: sms_settings(settings), IVR: hotline, WECHAT: wechat_settings(settings)}
    own[WEB] = web_options(settings)
    adapters = _load_channels(settings, _context(settings, base, wording, places, calls, own))
    asking = Asking(
        engine=base.engine,
        throttle=_throttle(settings, base.clock, base.logs),
        window=DuplicateWindow(MemoryCache(base.clock, entries=_WINDOW_ENTRIES)),
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
    messages = await parts.enter_async_context(conversations(service, adapters))
    pipeline = Pipeline(
        asking=asking,
        messages=messages,
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
    return adapters, pipeline


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
    storage: SqliteStorage,
    keys: _Keys,
    cache: MemoryCache,
    clock: Clock,
    journal: ServiceJournal,
) -> VerificationEngine:
    return VerificationEngine(
        recogniser=keys.recogniser,
        store=storage.verifications,
        catalogues=storage.catalogues,
        cache=cache,
        clock=clock,
        journal=journal,
        limits=EngineLimits(queue=settings.engine.queue, batch=settings.engine.batch),
    )


async def _keep_house(storage: SqliteStorage, clock: Clock, journal: ServiceJournal) -> None:
    """Drop what may not be kept any longer (service rules, section 6), a bounded share every ten minutes."""
    while True:
        await asyncio.sleep(_HOUSEKEEPING_S)
        try:
            for _ in range(_FORGET_SLICES):
                if not await storage.verifications.forget(clock.now()):
                    break
        except StoreUnavailable as error:
            journal.failed("housekeeping_failed", error)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


async def _listen(server: WebServer, settings: Settings) -> None:
    try:
        await server.start()
    except OSError as error:
        raise StoreUnavailable(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror or error}). Stop what uses it, or "
            "choose another --port."
        ) from error


def serve(settings: Settings, *, announce: Callable[[RunningService], None] | None = None) -> None:
    """Run the service until SIGTERM or SIGINT; ``announce`` is called once it listens."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with running_service(settings) as service:
            if announce is not None:
                announce(service)
            await stop.wait()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def _open_keys(settings: Settings, catalogue: Catalogue, log: Logger) -> _Keys:
    """Return recognition and identities; where the keys do not fit, ones that answer nothing until a restart.

    They must not heal half: identities are made once, so a key file restored later counts from the next start.
    """
    key_file = KeyFile(settings.key_file)
    try:
        ring = key_file.load()
        require_fit(ring, catalogue, key_file)
        identities = KeyedIdentities(
            caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
        )
    except (KeyFileInvalid, KeyMissing) as error:
        failure = error
        effect = "every answer is unavailable until a restart with the right keys"
        log.error("keys_unusable", error=str(failure), effect=effect)  # noqa: TRY400 - a traceback says nothing here

        def refuse() -> Keyring:
            raise failure

        passing = KeyedIdentities(caller_key=token_bytes(32), result_key=token_bytes(32))
        sealing = AesGcmSealing({1: token_bytes(32)})
        return _Keys(recogniser=CodebookRecogniser(refuse), identities=passing, sealing=sealing)
    sealing = AesGcmSealing({kept.id: kept.key for kept in ring.secrets[SecretName.MESSAGE]})
    return _Keys(recogniser=CodebookRecogniser(key_file.load), identities=identities, sealing=sealing)


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
        cache=base.cache,
        settings=own,
    )


def _load_channels(settings: Settings, context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    unknown = sorted(set(settings.channels) - CHANNELS.keys())
    if unknown:
        raise SettingsInvalid(
            f"channels: there is no {', '.join(unknown)}; known are {', '.join(sorted(CHANNELS))}."
        )
    return load_channels(settings.channels, context)


def _throttle(settings: Settings, clock: Clock, logs: Logs) -> Throttle:
    if not settings.throttle.enabled:
        return UnlimitedThrottle(logs.logger("throttle"))
    return MemoryThrottle(clock, {**DEFAULT_LIMITS, **_limits(settings.throttle)})


def _limits(chosen: ThrottleSettings) -> dict[str, Limit]:
    return {
        "address": Limit(
            queries=chosen.ip_per_minute,
            window_s=_MINUTE_S,
            wrong=chosen.ip_wrong_per_10_minutes,
            wrong_window_s=10 * _MINUTE_S,
            slow_max_ms=DEFAULT_LIMITS["address"].slow_max_ms,
        ),
        "web": Limit(
            queries=chosen.web_per_hour,
            window_s=_HOUR_S,
            wrong=chosen.web_wrong_per_hour,
            wrong_window_s=_HOUR_S,
            slow_max_ms=DEFAULT_LIMITS["web"].slow_max_ms,
        ),
    }


def _server_options(settings: Settings) -> ServerOptions:
    return ServerOptions(
        public_url=settings.public_url,
        host=settings.host,
        port=settings.port,
        trusted_proxies=settings.trusted_proxies,
        metrics_from=settings.metrics_from,
        drain_s=float(settings.drain_seconds),
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
