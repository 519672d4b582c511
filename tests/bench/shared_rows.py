"""P2b and P12 to P15: PostgreSQL. Batches by single statements, the whole path by SQLite's, two workers, issued labels.

The database server, the service and the load generator share all cores, so these are figures of the whole machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg

from app.core.model.label import Thresholds
from app.core.rules import policy_number
from tests.bench.engine_rows import Run, described, rate, run_engine, slope
from tests.bench.http_rows import RIGHT, describe_loads
from tests.bench.measures import (
    Figure,
    Goal,
    Result,
    WrongAnswerError,
    interleave,
    middle,
    of_rounds,
    ratio,
    spread,
)
from tests.bench.plan import Plan
from tests.bench.prefill import DataFolder, local_labels, new_folder, prefilled, write_codes
from tests.bench.serving import Load, fire, serving
from tests.fakes.ports import free_port
from tests.fakes.postgres_server import PostgresServer, fresh_name

BATCHES: Final = Goal(
    row="P2b", title="PostgreSQL: batches / a statement a query, 256 clients", floor=5, target=15
)
RATE: Final = Goal(row="P12", title="answers/s over HTTP, PostgreSQL / SQLite", floor=None, target=None)
P99: Final = Goal(
    row="P12b", title="p99 over HTTP, PostgreSQL / SQLite", floor=None, target=None, at_most=True
)
WORKERS: Final = Goal(row="P13", title="answers/s on PostgreSQL, 2 workers / 1", floor=None, target=None)
WORKERS_P99: Final = Goal(
    row="P13b", title="p99 on PostgreSQL, 2 workers / 1", floor=None, target=None, at_most=True
)
ISSUED: Final = Goal(
    row="P14",
    title="engine rate on PostgreSQL by issued labels: exponent",
    floor=-0.05,
    target=-0.01,
    unit="",
)
ISSUED_P99: Final = Goal(
    row="P14b", title="engine p99, most issued labels / fewest", floor=None, target=None, at_most=True
)
WAYS: Final[Mapping[str, tuple[Goal, Goal]]] = {
    way: (
        Goal(row=f"P15{rates}", title=f"answers/s, most issued / fewest, {way}", floor=None, target=None),
        Goal(
            row=f"P15{tails}",
            title=f"p99, most issued / fewest, {way}",
            floor=None,
            target=None,
            at_most=True,
        ),
    )
    for way, rates, tails in (
        ("SQLite", "", "b"),
        ("PostgreSQL", "c", "d"),
        ("PostgreSQL, 2 workers", "e", "f"),
    )
}
ISSUED_SERVED: Final = tuple(goal.row for goals in WAYS.values() for goal in goals)
SERVED: Final = (RATE.row, P99.row, WORKERS.row, WORKERS_P99.row)
_CLIENTS: Final = 256
_CODES: Final = 120_000
_MOST_S: Final = 4
_ISSUED_RECORDED: Final = 100_000
_FILL_S: Final = 1800
_NUMBERS: Final = "FROM generate_series(0, $3::bigint - 1) AS i"
_HISTORIES: Final = (
    f"INSERT INTO label_history SELECT $1::bigint + i, 1, $2::bigint + i, 'api', NULL, NULL, 0 {_NUMBERS}"
)
_FACTS: Final = (
    "INSERT INTO verification (id, at, serial, ordinal, own_ordinal, outcome, channel, policy)"
    f" SELECT i + 1, $2::bigint + i, $1::bigint + i, 1, 0, 'first', 'api', $4 {_NUMBERS}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFolder:
    """A folder of keys, and the database beside it; it is not copied, the runs add little to it."""

    folder: DataFolder
    url: str

    @property
    def environment(self) -> Mapping[str, str]:
        return self.folder.environment | {"YANZHEN_DATABASE_URL": self.url}

    def facts(self) -> int:
        return int(asyncio.run(_ask(self.url, "SELECT count(*) FROM verification")))

    def settle(self) -> None:
        """Let the server write what it holds back, so that it does not disturb a run."""
        asyncio.run(_ask(self.url, "CHECKPOINT"))
        os.sync()


def measure_batches(plan: Plan) -> list[Result]:
    """Return the engine's rate over that of a statement a query, both on one database."""
    with _database_server() as server:
        shared = _prefilled(plan, server, issued=_issued(plan), recorded=plan.size.shared)
        codes = _local(plan, shared)
        runs = interleave(
            plan.size.rounds,
            {kind: partial(_engine, plan, shared, kind, codes) for kind in ("single", "group")},
        )
    figure = ratio(of_rounds(runs["group"], rate), of_rounds(runs["single"], rate))
    notes = tuple(f"{name}: {described(runs[name])}" for name in ("group", "single"))
    return [Result(goal=BATCHES, figure=figure, notes=notes)]


def measure_servers(plan: Plan) -> list[Result]:
    """Return rates and p99 of the whole path: PostgreSQL by SQLite with one process, then two workers by one."""
    file = plan.folder_of(plan.size.shared)
    of_file = write_codes(file, local_labels(file.recorded, _CODES), plan.scratch / "local-file.txt")
    with _database_server() as server:
        shared = _prefilled(plan, server, issued=_issued(plan), recorded=plan.size.shared)
        codes = _local(plan, shared)
        runs: dict[str, Callable[[], Load]] = {
            "SQLite": partial(_load_file, plan, file, of_file),
            "1 worker": partial(_load_shared, plan, shared, codes, 1),
            "2 workers": partial(_load_shared, plan, shared, codes, 2),
        }
        loads = interleave(plan.size.rounds, runs)
    notes = {name: f"{name}: {describe_loads(made)}" for name, made in loads.items()}
    results = []
    for ours, theirs, rates, tails in (
        ("1 worker", "SQLite", RATE, P99),
        ("2 workers", "1 worker", WORKERS, WORKERS_P99),
    ):
        for goal, read in ((rates, _rate), (tails, _p99)):
            figure = ratio(of_rounds(loads[ours], read), of_rounds(loads[theirs], read))
            results.append(Result(goal=goal, figure=figure, notes=(notes[ours], notes[theirs])))
    return results


def measure_issued(plan: Plan) -> list[Result]:
    """Return the slope of log(rate) over log(issued labels), equally many of them recorded.

    With one size there is no slope, and its rate is told alone.
    """
    with _database_server() as server:
        places = {}
        for issued in plan.size.issued:
            shared = _prefilled(plan, server, issued=issued, recorded=_ISSUED_RECORDED)
            places[str(issued)] = partial(_engine, plan, shared, "group", _local(plan, shared))
        runs = interleave(plan.size.rounds, places)
    notes = tuple(f"{int(issued):.0e} issued: {described(runs[issued])}" for issued in places)
    if len(places) == 1:
        figure = Figure(value=0.0, low=0.0, high=0.0, conclusive=False)
        return [Result(goal=ISSUED, figure=figure, notes=(*notes, "one size alone has no slope"))]
    fewest, *_, most = places
    tails = ratio(of_rounds(runs[most], _engine_p99), of_rounds(runs[fewest], _engine_p99))
    sizes = plan.size.issued
    value = slope(sizes, [middle(runs[str(issued)], rate) for issued in sizes])
    slopes = [
        slope(sizes, [sum(run["rate"] for run in runs[str(issued)][turn]) for issued in sizes])
        for turn in range(plan.size.rounds)
    ]
    steady = spread([run["rate"] for turn in runs[str(sizes[0])] for run in turn]).conclusive
    figure = Figure(value=value, low=min(*slopes, value), high=max(*slopes, value), conclusive=steady)
    return [Result(goal=ISSUED, figure=figure, notes=notes), Result(goal=ISSUED_P99, figure=tails)]


def measure_issued_served(plan: Plan) -> list[Result]:
    """Return rates and p99 of the whole path with the most issued labels by those with the fewest, each way to serve.

    Equally many labels are recorded. With one size nothing is compared, and its figures are told alone.
    """
    size = plan.size
    plan = replace(plan, size=replace(size, seconds=min(size.seconds, _MOST_S), warm_seconds=1))
    with _database_server() as server:
        runs: dict[str, Callable[[], Load]] = {}
        for issued in size.issued:
            base = new_folder(plan.scratch / f"file-{issued}", labels=issued)
            file = prefilled(base, plan.scratch / f"file-recorded-{issued}", recorded=_ISSUED_RECORDED)
            labels = local_labels(_ISSUED_RECORDED, _CODES)
            of_file = write_codes(file, labels, plan.scratch / f"file-{issued}.txt")
            shared = _prefilled(plan, server, issued=issued, recorded=_ISSUED_RECORDED)
            codes = _local(plan, shared)
            runs[_named("SQLite", issued)] = partial(_load_file, plan, file, of_file)
            for workers, way in enumerate(("PostgreSQL", "PostgreSQL, 2 workers"), 1):
                runs[_named(way, issued)] = partial(_load_shared, plan, shared, codes, workers)
        loads = interleave(size.rounds, runs)
    results = []
    for way, goals in WAYS.items():
        fewest, most = (loads[_named(way, issued)] for issued in (size.issued[0], size.issued[-1]))
        notes = tuple(
            f"{_named(way, issued)}: {describe_loads(loads[_named(way, issued)])}" for issued in size.issued
        )
        for goal, read in zip(goals, (_rate, _p99), strict=True):
            figure = ratio(of_rounds(most, read), of_rounds(fewest, read))
            results.append(Result(goal=goal, figure=figure, notes=notes if read is _rate else ()))
    return results


def _named(way: str, issued: int) -> str:
    return f"{way}, {issued:.0e} issued"


@contextmanager
def _database_server() -> Iterator[PostgresServer]:
    server = PostgresServer({"shared_buffers": "1GB", "checkpoint_timeout": "30min"})
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _prefilled(plan: Plan, server: PostgresServer, *, issued: int, recorded: int) -> SharedFolder:
    """Return a database with one activated batch, ``recorded`` of its labels verified once each."""
    name = fresh_name()
    url = server.url(name)
    asyncio.run(_ask(server.socket_url(), f"CREATE DATABASE {name}"))
    folder = new_folder(plan.scratch / name, labels=issued, database_url=url)
    asyncio.run(_fill(server.socket_url(name), folder.first_serial, recorded))
    made = DataFolder(
        path=folder.path,
        recorded=recorded,
        labels=issued,
        batch_id=folder.batch_id,
        first_serial=folder.first_serial,
    )
    return SharedFolder(folder=made, url=url)


async def _fill(url: str, first_serial: int, recorded: int) -> None:
    connection: Any = await asyncpg.connect(url, command_timeout=_FILL_S)
    try:
        policy = policy_number(Thresholds(genuine=1, warn=4))
        now = await connection.fetchval("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
        values = (first_serial, now - recorded, recorded)
        async with connection.transaction():
            await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute(_HISTORIES, *values)
            await connection.execute(_FACTS, *values, policy)
            await connection.execute("SELECT setval('verification_number', $1)", recorded)
        await connection.execute("VACUUM ANALYZE label_history")
        await connection.execute("VACUUM ANALYZE verification")
    finally:
        await connection.close()


async def _ask(url: str, sql: str) -> Any:
    connection: Any = await asyncpg.connect(url, command_timeout=_FILL_S)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _issued(plan: Plan) -> int:
    """Return labels enough for what is recorded."""
    return max(1_000_000, 2 * plan.size.shared)


def _local(plan: Plan, shared: SharedFolder) -> Path:
    labels = local_labels(shared.folder.recorded, _CODES)
    return write_codes(shared.folder, labels, plan.scratch / f"{shared.folder.path.name}.txt")


def _engine(plan: Plan, shared: SharedFolder, kind: str, codes: Path) -> Run:
    seconds = min(plan.size.seconds, _MOST_S)
    shared.settle()
    words = (str(shared.folder.path), shared.url, str(codes), str(_CLIENTS), str(seconds))
    return run_engine("shared_runs", kind, *words, seconds=seconds)


def _load_file(plan: Plan, folder: DataFolder, codes: Path) -> Load:
    fresh = folder.copied(plan.scratch / "served")
    return _load(plan, fresh.environment, codes, 1)


def _load_shared(plan: Plan, shared: SharedFolder, codes: Path, workers: int) -> Load:
    """Load the service once, and require a recorded fact for every answer."""
    shared.settle()
    before = shared.facts()
    load = _load(plan, shared.environment, codes, workers)
    if shared.facts() - before < load.requests:
        raise WrongAnswerError(f"{load.requests} answers, but {shared.facts() - before} facts")
    return load


def _load(plan: Plan, environment: Mapping[str, str], codes: Path, workers: int) -> Load:
    port = free_port()
    words = ("app", "serve", "--port", str(port), "--workers", str(workers))
    log = plan.scratch / "served.log"
    with serving(words, port=port, log=log, environment=environment, pinned=False) as served:
        answer = served.ask(codes.read_text()[:20])
        if answer["outcome"] not in RIGHT:
            raise WrongAnswerError(f"A recorded label answered {answer}")
        warm = fire(served, codes, offset=1, seconds=plan.size.warm_seconds)
        return fire(served, codes, offset=1 + warm.requests, seconds=plan.size.seconds)


def _engine_p99(run: Run) -> float:
    return run["p99_ms"]


def _rate(load: Load) -> float:
    return load.rate


def _p99(load: Load) -> float:
    return load.p99_ms
