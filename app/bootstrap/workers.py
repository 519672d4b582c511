"""`serve` with several workers: the socket is bound once, then the supervisor keeps the processes that share it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.bootstrap.storage import is_shared
from app.bootstrap.supervisor import Pace, Plan, Supervisor
from app.core.errors import SettingsInvalid, StoreUnavailable
from app.logs import Logger, configure_logs
from app.settings import Settings

_SPARE_S: Final = 1.5  # for what a worker ends after its requests


def supervise(settings: Settings, command: Sequence[str]) -> None:
    """Run ``settings.workers`` processes of ``command`` until SIGTERM or SIGINT; SIGHUP replaces them one by one.

    Raises ``SettingsInvalid`` on a store of one process, ``StoreUnavailable`` where the address is taken, and
    ``WorkersFailed``.
    """
    require_shared_storage(settings)
    logs = configure_logs(log_format=settings.log_format, level=settings.log_level)
    logs.start()
    try:
        with TemporaryDirectory(prefix="yanzhen-workers-") as folder:
            plan = Plan(
                command=command,
                workers=settings.workers,
                sockets=bind(settings.host, settings.port),
                folder=Path(folder),
            )
            asyncio.run(
                _run(plan, Pace(drain_s=settings.drain_seconds + _SPARE_S), logs.logger("supervisor"))
            )
    finally:
        logs.stop()


def require_shared_storage(settings: Settings) -> None:
    """Raise ``SettingsInvalid`` where more workers are wanted than the store can have."""
    if settings.workers > 1 and not is_shared(settings):
        raise SettingsInvalid(
            f"workers: {settings.workers} processes cannot serve on one SQLite file, which belongs to one of them. Use "
            "--workers 1, or PostgreSQL: YANZHEN_DATABASE_URL=postgresql://user:password@host:5432/name"
        )


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to every address of ``host``. Raises ``StoreUnavailable`` where one is taken.

    The first worker that is ready listens: until then connections are refused at once, so that whoever connects tries
    another machine instead of waiting here.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            one = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.setblocking(False)
    except OSError as error:
        for one in sockets:
            one.close()
        raise StoreUnavailable(
            f"Cannot listen on {host}:{port} ({error.strerror or error}). Stop what uses it, or choose another --port."
        ) from error
    return sockets


async def _run(plan: Plan, pace: Pace, log: Logger) -> None:
    supervisor = Supervisor(plan, log, pace)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.roll)
    host, port = plan.sockets[0].getsockname()[:2]
    log.info("supervising", workers=plan.workers, host=host, port=port)
    try:
        await supervisor.run()
    finally:
        log.info("supervisor_stopped")
