"""P1, P1b, P3 and P10: the whole path over HTTP, durable, with everything on, against a bare aiohttp handler."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import Final

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
from tests.bench.prefill import (
    DataFolder,
    local_labels,
    new_folder,
    new_labels,
    prefilled,
    uniform_labels,
    write_codes,
)
from tests.bench.serving import Load, Served, fire, generator, serving
from tests.fakes.ports import free_port

RATE_LOCAL: Final = Goal(row="P1", title="durable answers/s over HTTP, local", floor=0.60, target=0.90)
RATE_UNIFORM: Final = Goal(row="P1b", title="durable answers/s over HTTP, uniform", floor=0.45, target=0.80)
P99_LOCAL: Final = Goal(row="P3", title="p99 of the whole path, local", floor=2.0, target=1.5, at_most=True)
P99_UNIFORM: Final = Goal(
    row="P3b", title="p99 of the whole path, uniform", floor=4.0, target=2.0, at_most=True
)
BYTES_FIRST: Final = Goal(
    row="P10",
    title="device bytes a first verification",
    floor=None,
    target=None,
    unit="B",
    at_most=True,
    timed=False,
)
HUGE_LOCAL: Final = Goal(
    row="P7",
    title="durable answers/s on one core, 1e9 labels issued, 1e8 recorded, local",
    floor=None,
    target=2000,
    unit="/s",
)
HUGE_UNIFORM: Final = Goal(
    row="P7b", title="the same, uniform, the file in the system's cache", floor=None, target=2000, unit="/s"
)
RIGHT: Final = {"first", "repeat", "over_limit"}
_CODES: Final = 120_000
_HUGE_ISSUED: Final = 1_000_000_000
_HUGE_RECORDED: Final = 100_000_000
_LEAST_BUSY: Final = 0.9
_MOST_NEW_S: Final = 6  # the list of new codes is long enough for it


def measure_rates(plan: Plan) -> list[Result]:
    """Return rates and p99 of the whole path as ratios to the bare handler of the same rounds."""
    folder = plan.folder_of(1_000_000)
    local = write_codes(folder, local_labels(folder.recorded, _CODES), plan.scratch / "local.txt")
    uniform = write_codes(folder, uniform_labels(folder.recorded, _CODES), plan.scratch / "uniform.txt")
    runs: dict[str, Callable[[], Load]] = {
        "bare": partial(bare_load, plan, local),
        "local": partial(whole_path_load, plan, folder, local),
        "uniform": partial(whole_path_load, plan, folder, uniform),
    }
    loads = interleave(plan.size.rounds, runs)
    plan.units["bare handler"] = _described(loads["bare"]) + f", by {generator()}"
    results = []
    for name, rate, p99 in (("local", RATE_LOCAL, P99_LOCAL), ("uniform", RATE_UNIFORM, P99_UNIFORM)):
        results += _compared(loads[name], loads["bare"], rate, p99)
    return results


def measure_bytes(plan: Plan) -> list[Result]:
    """Return the device bytes of a first verification, folding and checkpoints to the end of the process included."""
    folder = plan.folder_of(1_000_000)
    codes = write_codes(folder, new_labels(folder.recorded, _CODES), plan.scratch / "new.txt")
    each: list[float] = []
    logged: list[float] = []
    for _ in range(3):
        fresh = folder.copied(plan.scratch / "served")
        with _served(plan, fresh) as served:
            before = served.device_bytes()
            load = fire(served, codes, offset=0, seconds=min(plan.size.seconds, _MOST_NEW_S))
        recorded = _require_recorded(fresh, load.requests)
        if recorded > _CODES:
            raise WrongAnswerError("The list of new codes was too short: some were asked twice.")
        log = served.log.stat().st_size
        each.append((served.written - before - log) / recorded)
        logged.append(log / recorded)
    note = f"beside it the log file: {spread(logged).value:,.0f} B a verification"
    return [Result(goal=BYTES_FIRST, figure=spread(each), notes=(note,))]


def measure_huge(plan: Plan) -> list[Result]:
    """Return rates with a hundred million recorded verifications, on one folder that the rounds go on writing to.

    It takes 12 GB and some minutes to fill, so it is measured only where it is named.
    """
    base = new_folder(plan.scratch / "huge-base", labels=_HUGE_ISSUED)
    folder = prefilled(base, plan.scratch / "huge", recorded=_HUGE_RECORDED)
    results = []
    for goal, labels in ((HUGE_LOCAL, local_labels), (HUGE_UNIFORM, uniform_labels)):
        codes = write_codes(folder, labels(folder.recorded, _CODES), plan.scratch / f"{goal.row}.txt")
        loads, asked = [], 0
        for _ in range(plan.size.rounds):
            with _served(plan, folder) as served:
                warm = fire(served, codes, offset=asked, seconds=plan.size.warm_seconds)
                load = fire(served, codes, offset=asked + warm.requests, seconds=plan.size.seconds)
            asked += warm.requests + load.requests
            loads.append([load])
        _require_recorded(folder, asked)
        results.append(
            Result(goal=goal, figure=spread([_rate(load) for [load] in loads]), notes=(_described(loads),))
        )
    return results


def bare_load(plan: Plan, codes: Path) -> Load:
    """Load the bare handler once."""
    port = free_port()
    with serving(("tests.bench.bare_server", str(port)), port=port, log=plan.scratch / "bare.log") as served:
        fire(served, codes, offset=0, seconds=plan.size.warm_seconds)
        return fire(served, codes, offset=0, seconds=plan.size.seconds)


def whole_path_load(plan: Plan, folder: DataFolder, codes: Path) -> Load:
    """Load the service once on a fresh copy of ``folder``, and require a recorded fact for every answer."""
    fresh = folder.copied(plan.scratch / "served")
    with _served(plan, fresh) as served:
        answer = served.ask(codes.read_text()[:20])
        if answer["outcome"] not in RIGHT or answer["ordinal"] != 2:
            raise WrongAnswerError(f"A recorded label answered {answer}")
        warm = fire(served, codes, offset=1, seconds=plan.size.warm_seconds)
        load = fire(served, codes, offset=1 + warm.requests, seconds=plan.size.seconds)
    _require_recorded(fresh, 1 + warm.requests + load.requests)
    return load


def _served(plan: Plan, folder: DataFolder) -> AbstractContextManager[Served]:
    port = free_port()
    return serving(
        ("app", "serve", "--port", str(port)),
        port=port,
        log=plan.scratch / "served.log",
        environment=folder.environment,
    )


def _require_recorded(folder: DataFolder, answers: int) -> int:
    """Return how many facts were added: every answer needs its own, and every fact must be of a kind asked for."""
    with closing(sqlite3.connect(folder.database)) as connection:
        rows = connection.execute(
            "SELECT outcome, count(*) FROM verification WHERE id > ? GROUP BY outcome", (folder.recorded,)
        ).fetchall()
    outcomes = dict(rows)
    facts = sum(outcomes.values())
    if facts < answers or not outcomes.keys() <= RIGHT:
        raise WrongAnswerError(f"{answers} answers, but the record holds {outcomes}")
    return facts


def _compared(ours: list[list[Load]], bare: list[list[Load]], rate: Goal, p99: Goal) -> list[Result]:
    rates = ratio(of_rounds(ours, _rate), of_rounds(bare, _rate))
    cpu = ratio(of_rounds(bare, _cpu_us), of_rounds(ours, _cpu_us))
    busy = middle(bare, _busy)
    if busy < _LEAST_BUSY:
        rates = Figure(value=rates.value, low=rates.low, high=rates.high, conclusive=False)
    notes = (
        _described(ours),
        f"by CPU a request {cpu.value:.2f} [{cpu.low:.2f}..{cpu.high:.2f}]; bare handler busy {busy:.2f}",
    )
    tails = ratio(of_rounds(ours, _p99), of_rounds(bare, _p99))
    return [
        Result(goal=rate, figure=rates, notes=notes),
        Result(
            goal=p99, figure=tails, notes=(f"{middle(ours, _p99):.1f} ms of {middle(bare, _p99):.1f} ms",)
        ),
    ]


def _described(loads: Sequence[Sequence[Load]]) -> str:
    rates = [load.rate for pair in loads for load in pair]
    return (
        f"{middle(loads, _rate):,.0f}/s [{min(rates):,.0f}..{max(rates):,.0f}], {middle(loads, _cpu_us):.0f} us CPU,"
        f" p50 {middle(loads, _p50):.1f} ms, p99 {middle(loads, _p99):.1f} ms, busy {middle(loads, _busy):.2f}"
    )


def describe_loads(loads: Sequence[Sequence[Load]]) -> str:
    """Return rate and tail of the runs of one candidate, for a note."""
    rates = [load.rate for pair in loads for load in pair]
    return (
        f"{middle(loads, _rate):,.0f}/s [{min(rates):,.0f}..{max(rates):,.0f}],"
        f" p50 {middle(loads, _p50):.1f} ms, p99 {middle(loads, _p99):.1f} ms"
    )


def _rate(load: Load) -> float:
    return load.rate


def _cpu_us(load: Load) -> float:
    return load.cpu_us


def _busy(load: Load) -> float:
    return load.busy


def _p50(load: Load) -> float:
    return load.p50_ms


def _p99(load: Load) -> float:
    return load.p99_ms
