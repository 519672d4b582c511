"""Two real PostgreSQL servers on loopback: every commit of the first waits for the second, which can take its place."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import asyncpg

from tests.fakes.postgres_server import OWNER, PASSWORD, PostgresServer

_STANDBY: Final = "standby"
_PATIENCE_S: Final = 60.0
# a killed server must leave nothing in the machine's shared memory
_SETTINGS: Final = {"dynamic_shared_memory_type": "mmap", "wal_receiver_status_interval": "1s"}


class StandbyServer(PostgresServer):
    """A copy of another server that follows it."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__({**_SETTINGS, "hot_standby": "on"})
        self._primary = primary

    def promote(self) -> None:
        """Let it take commits of its own; returns when it does."""
        self._run("pg_ctl", "promote", "-D", str(self.data), "-w", "-t", "30")

    def _initialise(self) -> None:
        source = f"{self._primary.url()}?application_name={_STANDBY}"
        self._run("pg_basebackup", "-d", source, "-D", str(self.data), "-R", "-c", "fast", "-N")


class PostgresPair:
    """``url`` names both servers; who connects looks for the one that takes commits."""

    def __init__(self) -> None:
        self.primary = PostgresServer(dict(_SETTINGS))
        self.standby = StandbyServer(self.primary)

    def url(self, database: str = "postgres") -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://{OWNER}:{quote(PASSWORD, safe='')}@{hosts}/{database}"

    async def start(self) -> None:
        """Start both; from then on no commit returns before it is durable on both."""
        self.primary.start()
        self.standby.start()
        connection: Any = await asyncpg.connect(self.primary.socket_url())
        try:
            await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{_STANDBY}'")
            await connection.execute("SELECT pg_reload_conf()")
            for _ in range(1_200):  # a minute
                if await connection.fetchval("SELECT sync_state FROM pg_stat_replication") == "sync":
                    return
                await connection.execute("SELECT pg_sleep(0.05)")
        finally:
            await connection.close()
        raise RuntimeError("the standby does not follow")

    def remove(self) -> None:
        for server in (self.standby, self.primary):
            kill(server)
            server.remove()


def kill(server: PostgresServer) -> None:
    """End every process of a server at once, as the end of its machine does; returns when none of them is left.

    One that had still to end would hold the memory they share, and the server could not be started again.
    """
    freeze(server)
    watched = _watched(_processes(server))
    try:
        for one in watched:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(one, signal.SIGKILL)
        server.stop(signal.SIGKILL)
        for one in watched:
            assert select.select([one], [], [], _PATIENCE_S)[0], "a process that was killed lives on"
    finally:
        for one in watched:
            os.close(one)


def freeze(server: PostgresServer) -> None:
    """Let a server fall silent: its connections stay, and new ones get no word, as behind a dropped network."""
    silent: set[int] = set()
    while more := set(_processes(server)) - silent:  # the first to be stopped is who starts the others
        _signal(sorted(more), signal.SIGSTOP)
        silent |= more


def thaw(server: PostgresServer) -> None:
    """Let it go on."""
    _signal(_processes(server), signal.SIGCONT)


def _processes(server: PostgresServer) -> list[int]:
    """Return the server's process and its children, none where it does not run."""
    process = server._server
    if process is None or process.poll() is not None:
        return []
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    return [process.pid, *map(int, children.split())]


def _watched(processes: Iterable[int]) -> list[int]:
    """Return a file for each process, which can be read once it has ended."""
    files = []
    for process in processes:
        with suppress(ProcessLookupError):
            files.append(os.pidfd_open(process))
    return files


def _signal(processes: Iterable[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
