"""Several servers on one PostgreSQL and one Redis, each a process on a port of its own, any of which may be killed."""

from __future__ import annotations

import asyncio
import csv
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg

from app.core.model.verdict import Outcome
from tests.acceptance.cli.shell import ROOT, Server, Shell
from tests.contract.store.history import Recorded
from tests.fakes.clips import lay_silent_clips
from tests.fakes.ports import free_port
from tests.fakes.wechat_platform import WechatPlatform

KANNEL_SECRET: Final = "path-secret-of-the-fleet"
TWILIO_TOKEN: Final = "token-of-the-hotline-of-the-fleet"
WECHAT_TOKEN: Final = "token-of-the-chat-of-the-fleet"
WECHAT_APP_ID: Final = "wx0123456789abcdef"
MINI_PROGRAM: Final = ("wxabcdef0123456789", "secret-of-the-mini-program-of-the-fleet")
WECHAT_KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
PUBLIC_URL: Final = "https://verify.example"
NAMES: Final = ("青禾", "奶粉")
_STOP_S: Final = 30
_FACTS: Final = "SELECT serial, ordinal, outcome FROM verification WHERE ordinal IS NOT NULL"


@dataclass(frozen=True)
class FleetShell(Shell):
    """`yanzhen` with every channel set up, on servers that many processes share."""

    services: Mapping[str, str] = field(default_factory=dict)
    platform_port: int = field(default_factory=free_port)

    @property
    def environment(self) -> dict[str, str]:
        return (
            os.environ
            | {
                "YANZHEN_DATA_DIR": str(self.folder),
                "YANZHEN_PUBLIC_URL": PUBLIC_URL,
                "YANZHEN_LOG_FORMAT": "json",
                "YANZHEN_LOG_LEVEL": "warning",
                "YANZHEN_THROTTLE__IP_PER_MINUTE": "1000000",
                "YANZHEN_SMS__PER_DAY": "1000000",
                "YANZHEN_SMS__KANNEL__SECRET": KANNEL_SECRET,
                "YANZHEN_IVR__TWILIO__AUTH_TOKENS": TWILIO_TOKEN,
                "YANZHEN_WECHAT__API_BASE": f"http://127.0.0.1:{self.platform_port}",
                "YANZHEN_WECHAT__MINI_PROGRAM__TOKEN": WECHAT_TOKEN,
                "YANZHEN_WECHAT__MINI_PROGRAM__APP_ID": MINI_PROGRAM[0],
                "YANZHEN_WECHAT__MINI_PROGRAM__APP_SECRET": MINI_PROGRAM[1],
                "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__TOKEN": WECHAT_TOKEN,
                "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__APP_ID": WECHAT_APP_ID,
                "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__ENCODING_AES_KEY": WECHAT_KEY,
            }
            | self.services
        )


@dataclass
class Machine:
    """One server on the same port for life, of one process or of ``workers``; its log is kept over all its lives."""

    shell: FleetShell
    name: str
    workers: int = 1
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.shell.folder / f"{self.name}.log"

    def begin(self) -> None:
        """Start it; it answers a second later."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "app", "serve"),
                    *("--port", str(self.port), "--workers", str(self.workers)),
                ],
                cwd=ROOT,
                env=self.shell.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_it_answers(self) -> None:
        assert self.process is not None
        Server(process=self.process, url=self.url, log=self.log).wait_until_it_answers()

    def kill(self) -> None:
        """End it as a loss of power would, every process of it."""
        if self.process is not None:
            workers = children_of(self.process.pid)  # none is added once their supervisor is dead
            self.process.kill()
            self.process.wait(_STOP_S)
            self.process = None
            kill_and_wait(workers)

    def kill_worker(self) -> None:
        """End the youngest of its workers; the others go on, and the supervisor starts another."""
        assert self.process is not None
        kill_and_wait(children_of(self.process.pid)[1:][-1:])

    def stop(self) -> None:
        """End it in good order; its exit code must be 0."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
            raise
        assert code == 0, self.log.read_text()[-3000:]


@dataclass
class Fleet:
    """The machines, the serials and codes of one activated batch, and what the hotline's clips say, by their names.

    ``platform`` plays WeChat's API while its shoppers are out. ``changed`` is set whenever something was started again.
    """

    shell: FleetShell
    machines: list[Machine]
    codes: list[tuple[int, str]]
    sentences: Mapping[str, str]
    platform: WechatPlatform = field(default_factory=lambda: WechatPlatform(*MINI_PROGRAM))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        for machine in self.machines:
            machine.begin()
        for machine in self.machines:
            machine.wait_until_it_answers()

    def stop(self) -> None:
        for machine in self.machines:
            machine.stop()

    def kill(self) -> None:
        for machine in self.machines:
            machine.kill()

    async def restart(self, stop: Callable[[], None], start: Callable[[], None]) -> None:
        """Take something away and bring it back, while everybody goes on asking."""
        await asyncio.to_thread(stop)
        await asyncio.to_thread(start)
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()

    def bring_back(self, machine: Machine) -> Callable[[], None]:
        def start() -> None:
            machine.begin()
            machine.wait_until_it_answers()

        return start

    def logs(self) -> str:
        return "".join(machine.log.read_text() for machine in self.machines if machine.log.exists())


@contextmanager
def fleet(
    folder: Path, services: Mapping[str, str], *, workers: Sequence[int], labels: int
) -> Iterator[Fleet]:
    """Prepare a batch by the command line and yield machines that are not started yet; no limits on callers' numbers.

    ``workers`` are the processes of each machine, ``services`` the settings that name the database and what else is
    shared.
    """
    shell = FleetShell(folder, services=services)
    with _environment(shell.environment):
        shell.run("init")
        brand = shell.json("brand", "add", "--name", NAMES[0])["id"]
        product = shell.json(
            "product", "add", "--brand", brand, "--name", NAMES[1], "--thresholds", "1,10000000"
        )["id"]
        batch = shell.json("batch", "issue", "--product", product, "--quantity", labels)["id"]
        shell.run("batch", "activate", batch)
        path = folder / "labels.csv"
        shell.run("batch", "export", batch, "--out", path)
    with path.open(newline="") as file:
        codes = [(int(row["serial"]), row["code"]) for row in csv.DictReader(file)]
    made = Fleet(
        shell=shell,
        machines=[Machine(shell, f"machine-{number}", count) for number, count in enumerate(workers)],
        codes=codes,
        sentences=lay_silent_clips(folder, NAMES),
    )
    try:
        yield made
    finally:
        made.kill()


async def recorded(url: str) -> list[Recorded]:
    """Return every fact with an ordinal, read past the product's own code."""
    connection: Any = await asyncpg.connect(url, target_session_attrs="read-write")
    try:
        rows = await connection.fetch(_FACTS)
    finally:
        await connection.close()
    return [
        Recorded(label=serial, ordinal=ordinal, is_first=outcome == Outcome.FIRST)
        for serial, ordinal, outcome in rows
    ]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started, the oldest first."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rpartition(")")[2].split()  # proc(5): state, then the parent
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(words[1]) == pid and words[0] != "Z":
            found.append(int(status.parent.name))
    return sorted(found)


def kill_and_wait(pids: Iterable[int]) -> None:
    """End processes that may be somebody else's children, and return once they are gone."""
    for pid in pids:
        try:
            watched = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            signal.pidfd_send_signal(watched, signal.SIGKILL)
            select.select([watched], [], [], _STOP_S)  # readable once it has ended
        except ProcessLookupError:
            pass
        finally:
            os.close(watched)


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set the variables for commands that run in this process."""
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
