"""The supervisor: holds the listening socket, keeps its workers running, replaces them one by one, ends them together.

It serves nothing, opens no database and reads no key. Workers are processes started afresh with the socket passed on,
because neither the event loop nor a database connection survives a fork.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.adapters.worker_figures import bury
from app.bootstrap.seats import LEAD, READY, RESIGNED, Seat, name_of
from app.core.errors import WorkersFailed
from app.logs import Logger

_USAGE: Final = 2  # the exit code for wrong settings, which no further try puts right
_LOST: Final = (ConnectionError, BrokenPipeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the supervisor waits, in seconds, and how many ``failed_starts`` of a worker are enough.

    A dead worker is followed after ``first_pause_s``, growing to ``longest_pause_s``; one that lived for ``settled_s``
    is forgiven. A worker gets ``start_s`` to be ready and ``drain_s`` to end, then it is killed.
    """

    first_pause_s: float = 0.25
    longest_pause_s: float = 10.0
    settled_s: float = 30.0
    start_s: float = 60.0
    drain_s: float = 9.5
    failed_starts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``command`` starts a worker once its seat is added; ``folder`` is private to these workers and the supervisor."""

    command: Sequence[str]
    workers: int
    sockets: Sequence[socket.socket]
    folder: Path


@dataclass(slots=True, eq=False, kw_only=True)
class _Worker:
    """One process on a seat."""

    number: int
    process: asyncio.subprocess.Process
    writer: asyncio.StreamWriter
    started_s: float
    gone: asyncio.Task[int]
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: bool = False

    @property
    def serves(self) -> bool:
        """True from its readiness until it is asked to leave, resigns or dies."""
        return self.ready.is_set() and not self.leaving and not self.gone.done()

    def ask_to_leave(self) -> None:
        """Let it drain and end."""
        self.leaving = True
        with suppress(ProcessLookupError):
            self.process.terminate()

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self.process.kill()


class Supervisor:
    """Made for one event loop; :meth:`run` returns once every worker has ended."""

    def __init__(self, plan: Plan, log: Logger, pace: Pace | None = None) -> None:
        self._plan = plan
        self._log = log
        self._pace = pace or Pace()
        self._workers: set[_Worker] = set()
        self._renewals: dict[int, asyncio.Queue[asyncio.Future[bool]]] = {
            number: asyncio.Queue() for number in range(1, plan.workers + 1)
        }
        self._stopping = asyncio.Event()
        self._served = asyncio.Event()
        self._rolling: asyncio.Task[None] | None = None
        self._roll_again = False
        self._leader: _Worker | None = None

    def stop(self) -> None:
        """End: take no new connection, let every worker drain."""
        self._stopping.set()

    def roll(self) -> None:
        """Replace the workers one by one; asked again meanwhile, once more afterwards."""
        if self._rolling is not None and not self._rolling.done():
            self._roll_again = True
        elif not self._stopping.is_set():
            self._rolling = asyncio.create_task(self._roll())

    async def run(self) -> None:
        """Keep the workers running until :meth:`stop`. Raises ``WorkersFailed`` where none of them can start."""
        stopped = asyncio.create_task(self._stopping.wait())
        # the first alone: what keeps it from starting keeps the others, too, and is said once
        first = asyncio.create_task(self._served.wait())
        chairs = [asyncio.create_task(self._keep(1))]
        try:
            await _first_of(stopped, first, *chairs)
            if first.done():
                chairs += [asyncio.create_task(self._keep(number)) for number in list(self._renewals)[1:]]
            await _first_of(stopped, *chairs)
        finally:
            stopped.cancel()
            first.cancel()
            await self._end(chairs)
        for chair in chairs:
            chair.result()

    # -- one chair -------------------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Have a worker on this seat until the end. Raises ``WorkersFailed``."""
        pause_s, failed = self._pace.first_pause_s, 0
        while not self._stopping.is_set():
            worker = await self._start(number, careful=self._anybody_serves())
            if worker is not None and await self._becomes_ready(worker):
                failed = 0
                worker = await self._attend(worker)
                if self._now() - worker.started_s > self._pace.settled_s:
                    pause_s = self._pace.first_pause_s
            else:
                failed += 1
            if self._stopping.is_set():
                return
            code = None if worker is None else await worker.gone
            hopeless = failed >= self._pace.failed_starts or (failed and code == _USAGE)
            if hopeless and not self._anybody_serves():
                raise WorkersFailed(
                    f"No worker could start, {failed} times in a row (the last exit code was {code}); what the worker "
                    "wrote says why. Correct it and start again."
                )
            self._log.error("worker_died", number=number, exit_code=code, again_after_s=pause_s)
            await self._pause(pause_s)
            pause_s = min(pause_s * 2, self._pace.longest_pause_s)

    async def _attend(self, worker: _Worker) -> _Worker:
        """Wait until the worker of a seat died, replacing it when asked; return who died."""
        renewals = self._renewals[worker.number]
        while True:
            asked = asyncio.create_task(renewals.get())
            await _first_of(asked, worker.gone)
            if not asked.done():
                asked.cancel()
                return worker
            successor = await self._start(worker.number, careful=True)
            renewed = successor is not None and await self._becomes_ready(successor)
            if successor is not None and renewed:
                await self._retire(worker)
                worker = successor
            if not asked.result().done():
                asked.result().set_result(renewed)

    async def _start(self, number: int, *, careful: bool) -> _Worker | None:
        """Start a process, or return None where the system has no room for one."""
        ours, theirs = socket.socketpair()
        with theirs:
            listening = tuple(one.fileno() for one in self._plan.sockets)
            seat = Seat(
                number=number,
                listening=listening,
                control=theirs.fileno(),
                folder=self._plan.folder,
                careful=careful,
            )
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._plan.command,
                    "--seat",
                    seat.word,
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(*listening, theirs.fileno()),
                    process_group=0,  # an interrupt from the terminal is for the supervisor alone
                )
            except OSError as error:
                ours.close()
                self._log.error("worker_not_started", number=number, why=error.strerror)
                return None
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = _Worker(
            number=number,
            process=process,
            writer=writer,
            started_s=self._now(),
            gone=asyncio.create_task(process.wait()),
        )
        self._workers.add(worker)
        hearing = asyncio.create_task(self._hear(worker, reader))
        worker.gone.add_done_callback(lambda _: self._bury(worker, hearing))
        self._log.info("worker_started", number=number, pid=process.pid)
        if self._stopping.is_set():
            worker.ask_to_leave()
        return worker

    async def _becomes_ready(self, worker: _Worker) -> bool:
        ready = asyncio.create_task(worker.ready.wait())
        await _first_of(ready, worker.gone, within_s=self._pace.start_s)
        ready.cancel()
        if worker.ready.is_set():
            return True
        if not worker.gone.done():
            self._log.error("worker_not_ready", number=worker.number, seconds=self._pace.start_s)
            await self._retire(worker)
        return False

    async def _retire(self, worker: _Worker) -> None:
        worker.ask_to_leave()
        await _first_of(worker.gone, within_s=self._pace.drain_s)
        if not worker.gone.done():
            self._log.error("worker_killed", number=worker.number, pid=worker.process.pid)
            worker.kill()
            await worker.gone

    # -- what workers tell -----------------------------------------------------------------------------------

    async def _hear(self, worker: _Worker, reader: asyncio.StreamReader) -> None:
        with suppress(*_LOST):
            while line := await reader.readline():
                match line.strip():
                    case word if word == READY:
                        worker.ready.set()
                        self._served.set()
                        self._log.info("worker_ready", number=worker.number, pid=worker.process.pid)
                    case word if word == RESIGNED:
                        worker.leaving = True
                        if self._leader is worker:
                            self._leader = None
                self._name_leader()

    def _name_leader(self) -> None:
        """Name the lowest seat that serves, where nobody leads."""
        serving = sorted((worker for worker in self._workers if worker.serves), key=lambda one: one.number)
        if self._leader is None and serving and not self._stopping.is_set():
            self._leader = serving[0]
            self._leader.writer.write(LEAD + b"\n")
            self._log.info("worker_leads", number=self._leader.number, pid=self._leader.process.pid)

    def _bury(self, worker: _Worker, hearing: asyncio.Task[None]) -> None:
        """Forget a process that ended, but not what it counted."""
        hearing.cancel()
        worker.writer.close()
        self._workers.discard(worker)
        try:
            bury(self._plan.folder, name_of(worker.number, worker.process.pid))
        except (OSError, ValueError) as error:
            self._log.error("figures_lost", number=worker.number, why=str(error))
        if self._leader is worker:
            self._leader = None
        self._name_leader()

    # -- all of them -----------------------------------------------------------------------------------------

    async def _roll(self) -> None:
        again = True
        while again:
            self._roll_again = False
            self._log.info("rolling_restart")
            done = True
            for number, renewals in self._renewals.items():
                renewed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
                renewals.put_nowait(renewed)
                if not await renewed:
                    done = False
                    self._log.error("rolling_restart_abandoned", number=number, effect="the old worker stays")
                    break
            if done:
                self._log.info("rolling_restart_done")
            again = self._roll_again

    async def _end(self, chairs: Iterable[asyncio.Task[None]]) -> None:
        self._stopping.set()
        for one in self._plan.sockets:
            one.close()  # or connections would wait in vain for somebody to take them
        if self._rolling is not None:
            self._rolling.cancel()
        for worker in self._workers:
            worker.ask_to_leave()
        await _all_of(*chairs, *(worker.gone for worker in self._workers), within_s=self._pace.drain_s)
        for worker in tuple(self._workers):
            self._log.error("worker_killed", number=worker.number, pid=worker.process.pid)
            worker.kill()
        await _all_of(*chairs, *(worker.gone for worker in self._workers))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _anybody_serves(self) -> bool:
        return any(worker.serves for worker in self._workers)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def _first_of(*tasks: asyncio.Task[Any], within_s: float | None = None) -> None:
    await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)


async def _all_of(*tasks: asyncio.Task[Any], within_s: float | None = None) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)
