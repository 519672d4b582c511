"""The supervisor's mechanics, with a tiny worker: restarts, replacements, who leads, how it ends."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap.supervisor import Pace, Plan, Supervisor
from app.bootstrap.workers import bind
from app.core.errors import StoreUnavailable, WorkersFailed

PACE = Pace(first_pause_s=0.05, longest_pause_s=0.2, start_s=60, drain_s=30, failed_starts=3)
PATIENCE_S = 60


class EventLog:
    """A log that tells who waits for an event."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self._changed = asyncio.Event()

    def info(self, event: str, **facts: object) -> None:
        self.lines.append((event, dict(facts)))
        self._changed.set()

    debug = warning = error = info

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.lines)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def until_seen(self, event: str, times: int = 1) -> None:
        await self.until(lambda: self.count(event) >= times)


@dataclass
class Answer:
    number: int
    pid: int
    leads: bool
    careful: bool


@dataclass
class Crew:
    supervisor: Supervisor
    log: EventLog
    port: int
    folder: Path
    running: asyncio.Task[None]

    async def ask(self) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        number, pid, leads, careful = (await reader.read()).decode().split()
        writer.close()
        return Answer(int(number), int(pid), leads == "True", careful == "True")

    def misbehave(self, how: str) -> None:
        (self.folder / how).touch()

    def behave(self, how: str) -> None:
        (self.folder / how).unlink()

    @property
    def pids(self) -> list[int]:
        """The processes started so far."""
        return [facts["pid"] for name, facts in self.log.lines if name == "worker_started"]


@asynccontextmanager
async def supervised(
    folder: Path, *, workers: int = 2, pace: Pace = PACE, how: str = ""
) -> AsyncIterator[Crew]:
    (sock,) = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    (folder / "figures").mkdir()
    command = [sys.executable, "-m", "tests.acceptance.workers.tiny_worker", str(folder)]
    log = EventLog()
    plan = Plan(command=command, workers=workers, sockets=[sock], folder=folder / "figures")
    supervisor = Supervisor(plan, log, pace)
    if how:
        (folder / how).touch()
    crew = Crew(supervisor, log, port, folder, asyncio.create_task(supervisor.run()))
    try:
        yield crew
    finally:
        supervisor.stop()
        await asyncio.wait((crew.running,), timeout=PATIENCE_S)
        assert crew.running.done()
        assert not any(alive(pid) for pid in crew.pids)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_workers_share_one_socket_and_one_of_them_leads(tmp_path: Path) -> None:
    async with supervised(tmp_path) as crew:
        await crew.log.until_seen("worker_ready", 2)
        answers = [await crew.ask() for _ in range(40)]
        assert {answer.pid for answer in answers} <= set(crew.pids)
        assert {answer.number for answer in answers if answer.leads} <= {1}
        assert [facts["number"] for name, facts in crew.log.lines if name == "worker_leads"] == [1]
        assert not any(answer.careful for answer in answers if answer.number == 1), "nobody served before"
    assert crew.running.exception() is None
    with pytest.raises(ConnectionRefusedError):
        await crew.ask()


async def test_a_killed_worker_is_followed_and_its_lead_passed_on(tmp_path: Path) -> None:
    async with supervised(tmp_path) as crew:
        await crew.log.until_seen("worker_ready", 2)
        os.kill(crew.pids[0], signal.SIGKILL)
        await crew.log.until_seen("worker_ready", 3)
        assert [facts["number"] for name, facts in crew.log.lines if name == "worker_leads"] == [1, 2]
        (died,) = [facts for name, facts in crew.log.lines if name == "worker_died"]
        assert (died["number"], died["exit_code"]) == (1, -9)
        assert {(await crew.ask()).pid for _ in range(20)} <= set(crew.pids[1:])


async def test_pauses_grow_while_a_worker_keeps_dying_and_the_others_serve(tmp_path: Path) -> None:
    async with supervised(tmp_path) as crew:
        await crew.log.until_seen("worker_ready", 2)
        crew.misbehave("dies")
        os.kill(crew.pids[1], signal.SIGKILL)
        await crew.log.until_seen("worker_died", 6)  # beyond failed_starts: somebody serves
        pauses = [facts["again_after_s"] for name, facts in crew.log.lines if name == "worker_died"]
        assert pauses[:6] == [0.05, 0.1, 0.2, 0.2, 0.2, 0.2]
        assert (await crew.ask()).pid == crew.pids[0]
        crew.behave("dies")
        await crew.log.until_seen("worker_ready", 3)
        assert crew.log.lines[-1][1]["number"] == 2


@pytest.mark.parametrize(("how", "tries"), [("dies", PACE.failed_starts), ("wrong-settings", 1)])
async def test_it_gives_up_where_none_can_start(tmp_path: Path, how: str, tries: int) -> None:
    async with supervised(tmp_path, how=how) as crew:
        with pytest.raises(WorkersFailed, match="exit code"):
            await asyncio.wait_for(asyncio.shield(crew.running), PATIENCE_S)
        assert len(crew.pids) == tries, "the second seat is not tried before the first has served"


async def test_workers_are_replaced_one_by_one(tmp_path: Path) -> None:
    async with supervised(tmp_path, workers=3) as crew:
        await crew.log.until_seen("worker_ready", 3)
        old = set(crew.pids)
        crew.supervisor.roll()
        await crew.log.until_seen("rolling_restart")
        crew.supervisor.roll()  # asked again meanwhile: once more
        await crew.log.until_seen("rolling_restart_done", 2)
        assert len(crew.pids) == 9
        assert {(await crew.ask()).pid for _ in range(30)} <= set(crew.pids[6:])
        assert not any(alive(pid) for pid in old)
        names = [name for name, _ in crew.log.lines if name in ("worker_started", "worker_ready")]
        assert names[-6:] == ["worker_started", "worker_ready"] * 3, "the next only when the new one is ready"
        leads = [facts["pid"] for name, facts in crew.log.lines if name == "worker_leads"]
        assert leads == [crew.pids[0], crew.pids[3], crew.pids[6]]
        assert crew.log.count("worker_died") == crew.log.count("worker_killed") == 0


@pytest.mark.parametrize("how", ["dies", "never-ready"])
async def test_a_new_worker_that_cannot_serve_replaces_nobody(tmp_path: Path, how: str) -> None:
    async with supervised(tmp_path) as crew:
        await crew.log.until_seen("worker_ready", 2)
        old = list(crew.pids)
        crew.misbehave(how)
        if how == "never-ready":  # and nobody else is hurried
            crew.supervisor._pace = replace(PACE, start_s=1)
        crew.supervisor.roll()
        await crew.log.until_seen("rolling_restart_abandoned")
        crew.supervisor._pace = PACE
        assert len(crew.pids) == 3
        assert all(alive(pid) for pid in old)
        crew.behave(how)
        crew.supervisor.roll()
        await crew.log.until_seen("rolling_restart_done")
        assert {(await crew.ask()).careful for _ in range(10)} == {True}


async def test_a_worker_that_does_not_leave_is_killed(tmp_path: Path) -> None:
    async with supervised(tmp_path, pace=replace(PACE, drain_s=0.3), how="stubborn") as crew:
        await crew.log.until_seen("worker_ready", 2)
        crew.supervisor.stop()
        await asyncio.wait_for(asyncio.shield(crew.running), PATIENCE_S)
        assert crew.log.count("worker_killed") == 2


async def test_stopping_while_workers_start_leaves_none(tmp_path: Path) -> None:
    async with supervised(tmp_path, workers=3) as crew:
        await crew.log.until_seen("worker_started")
        crew.supervisor.stop()
    async with asyncio.timeout(PATIENCE_S):
        await crew.running


async def test_workers_end_with_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    async with supervised(tmp_path) as crew:
        await crew.log.until_seen("worker_ready", 2)
        gone = [worker.gone for worker in crew.supervisor._workers]
        for worker in crew.supervisor._workers:
            worker.writer.close()  # what the system does for a process that is killed
        done, _ = await asyncio.wait(gone, timeout=PATIENCE_S)
        assert len(done) == 2


def test_a_taken_address_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}.*--port"):
            bind("127.0.0.1", port)


def test_every_address_of_a_name_is_bound() -> None:
    sockets = bind("localhost", 0)
    assert {one.family for one in sockets} <= {socket.AF_INET, socket.AF_INET6}
    for one in sockets:
        one.close()


def test_nobody_is_kept_waiting_until_a_worker_is_there() -> None:
    (sock,) = bind("127.0.0.1", 0)
    with sock, socket.socket() as caller, pytest.raises(ConnectionRefusedError):
        caller.connect(sock.getsockname())
