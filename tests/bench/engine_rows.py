"""P2 and P6b: the engine in its own process, without HTTP: group commit, and how it slows down as the record grows."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
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
from tests.bench.prefill import ROOT, local_labels, write_codes

GROUP_COMMIT: Final = Goal(row="P2", title="group commit / locked aiosqlite, 32 clients", floor=15, target=25)
GROWTH: Final = Goal(
    row="P6b", title="engine rate by recorded rows, local: exponent", floor=-0.18, target=-0.05, unit=""
)
_CLIENTS: Final = 32
_GROWTH_CLIENTS: Final = 64
_MOST_S: Final = 4
_CODES: Final = 120_000
Run = dict[str, float]


def measure_group_commit(plan: Plan) -> list[Result]:
    """Return the engine's rate over that of one transaction a query, both on fresh copies of the same data."""
    folder = plan.folder_of(1_000_000)
    codes = write_codes(folder, local_labels(folder.recorded, _CODES), plan.scratch / "local.txt")

    def fresh(kind: str) -> Run:
        copy = folder.copied(plan.scratch / "engine")
        return _run(kind, copy.path, codes, _CLIENTS, min(plan.size.seconds, _MOST_S))

    runs = interleave(plan.size.rounds, {kind: partial(fresh, kind) for kind in ("single", "group")})
    figure = ratio(of_rounds(runs["group"], rate), of_rounds(runs["single"], rate))
    notes = tuple(f"{name}: {described(runs[name])}" for name in ("group", "single"))
    return [Result(goal=GROUP_COMMIT, figure=figure, notes=notes)]


def measure_growth(plan: Plan) -> list[Result]:
    """Return the slope of log(rate) over log(rows), least squares over the medians.

    The files are not copied for each run: the runs add less than a tenth to the smallest of them.
    """
    places = {}
    for rows in plan.size.rows:
        folder = plan.folder_of(rows)
        places[rows] = (
            folder,
            write_codes(folder, local_labels(rows, _CODES), plan.scratch / f"local-{rows}.txt"),
        )
    copies = {
        rows: folder.copied(plan.scratch / f"growing-{rows}").path for rows, (folder, _) in places.items()
    }
    seconds = min(plan.size.seconds, _MOST_S)
    runs = interleave(
        plan.size.rounds,
        {
            str(rows): partial(_run, "group", copies[rows], codes, _GROWTH_CLIENTS, seconds)
            for rows, (_, codes) in places.items()
        },
    )
    medians = [middle(runs[str(rows)], rate) for rows in plan.size.rows]
    slopes = [
        slope(plan.size.rows, [sum(run["rate"] for run in runs[str(rows)][turn]) for rows in plan.size.rows])
        for turn in range(plan.size.rounds)
    ]
    value = slope(plan.size.rows, medians)
    steady = spread([run["rate"] for turn in runs[str(plan.size.rows[0])] for run in turn]).conclusive
    figure = Figure(value=value, low=min(*slopes, value), high=max(*slopes, value), conclusive=steady)
    notes = tuple(f"{rows:.0e} rows: {described(runs[str(rows)])}" for rows in plan.size.rows)
    return [Result(goal=GROWTH, figure=figure, notes=notes)]


def _run(kind: str, folder: Path, codes: Path, clients: int, seconds: int) -> Run:
    return run_engine(
        "engine_runs", kind, str(folder), str(codes), str(clients), str(seconds), seconds=seconds
    )


def run_engine(module: str, kind: str, *words: str, seconds: int) -> Run:
    """Run a module of this package in a process of its own and return the figures that it prints."""
    run = subprocess.run(
        [sys.executable, "-m", f"tests.bench.{module}", kind, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + 90,
        check=False,
    )
    if run.returncode:
        raise WrongAnswerError(f"The {kind} run failed:\n{run.stdout}{run.stderr}")
    figures: Run = json.loads(run.stdout)
    return figures


def slope(rows: Sequence[int], rates: Sequence[float]) -> float:
    """Return the least-squares slope of log(rates) over log(rows)."""
    xs, ys = [math.log(row) for row in rows], [math.log(rate) for rate in rates]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def described(runs: Sequence[Sequence[Run]]) -> str:
    rates = [run["rate"] for turn in runs for run in turn]
    return (
        f"{middle(runs, rate):,.0f}/s [{min(rates):,.0f}..{max(rates):,.0f}],"
        f" {middle(runs, lambda run: run['cpu_us']):.0f} us CPU, p50 {middle(runs, lambda run: run['p50_ms']):.2f} ms,"
        f" p99 {middle(runs, lambda run: run['p99_ms']):.2f} ms"
    )


def rate(run: Run) -> float:
    return run["rate"]
