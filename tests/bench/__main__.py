"""`python -m tests.bench`: run the rows, print ratios with their spread, exit 1 where a floor was surely missed."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.bench import call_rows, engine_rows, http_rows, issuing_rows, message_rows, shared_rows
from tests.bench.measures import Result, WrongAnswerError
from tests.bench.plan import Plan, Size
from tests.bench.serving import generator
from tests.bench.units import Neighbours, aes_ceiling, fdatasync_described


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows that are measured together."""

    rows: tuple[str, ...]
    measure: Callable[[Plan], list[Result]]
    only_named: bool = False


PARTS: Final = (
    Part(rows=("P1", "P1b", "P3", "P3b"), measure=http_rows.measure_rates),
    Part(rows=("P2",), measure=engine_rows.measure_group_commit),
    Part(rows=("P5",), measure=issuing_rows.measure_codes),
    Part(rows=("P5c",), measure=issuing_rows.measure_lines),
    Part(rows=("P5d",), measure=issuing_rows.measure_recognition),
    Part(rows=("P6",), measure=issuing_rows.measure_stored),
    Part(rows=("P6b",), measure=engine_rows.measure_growth),
    Part(rows=("P7", "P7b"), measure=http_rows.measure_huge, only_named=True),
    Part(rows=("P8",), measure=issuing_rows.measure_help),
    Part(rows=message_rows.ROWS, measure=message_rows.measure_messages),
    Part(rows=call_rows.ROWS, measure=call_rows.measure_calls),
    Part(rows=("P2b",), measure=shared_rows.measure_batches),
    Part(rows=shared_rows.SERVED, measure=shared_rows.measure_servers),
    Part(rows=("P14", "P14b"), measure=shared_rows.measure_issued),
    Part(rows=shared_rows.ISSUED_SERVED, measure=shared_rows.measure_issued_served),
    Part(rows=("P10",), measure=http_rows.measure_bytes),
)
MOST_DISTURBED: Final = 0.25  # cores
SIZES: Final[Mapping[str, Size]] = {
    "quick": Size(
        rounds=3,
        seconds=2,
        warm_seconds=1,
        rows=(100_000, 300_000, 1_000_000),
        csv_lines=1_000_000,
        issued=(1_000_000,),
        shared=100_000,
    ),
    "usual": Size(
        rounds=3,
        seconds=6,
        warm_seconds=2,
        rows=(100_000, 1_000_000, 10_000_000),
        csv_lines=3_000_000,
        issued=(1_000_000, 10_000_000),
        shared=1_000_000,
    ),
    "full": Size(
        rounds=5,
        seconds=12,
        warm_seconds=3,
        rows=(100_000, 1_000_000, 10_000_000),
        csv_lines=10_000_000,
        issued=(1_000_000, 10_000_000, 100_000_000),
        shared=10_000_000,
    ),
}


def main() -> int:
    """Run what was asked for."""
    arguments = _arguments()
    scratch = Path(tempfile.mkdtemp(prefix="yanzhen-bench-", dir=arguments.dir))
    size = "quick" if arguments.quick else "full" if arguments.full else "usual"
    chosen = SIZES[size]
    chosen = replace(
        chosen,
        rounds=arguments.rounds or chosen.rounds,
        seconds=arguments.seconds or chosen.seconds,
    )
    plan = Plan(size=chosen, scratch=scratch)
    started = time.monotonic()
    try:
        print(f"{_machine()}\n$ python -m tests.bench {' '.join(sys.argv[1:])}\n", flush=True)
        plan.units["fdatasync of 4 KB in the data folder"] = fdatasync_described(scratch)
        plan.units["AES-256-ECB, 10 blocks a code"] = f"{aes_ceiling() / 1e6:.1f} M/s"
        results = []
        for part in PARTS:
            if (arguments.only is None and not part.only_named) or set(part.rows) & (arguments.only or set()):
                results += _measured(part, plan)
        print("\nUnits of this machine")
        for name, value in plan.units.items():
            print(f"  {name}: {value}")
        missed = [result.goal.row for result in results if result.missed]
        print(f"\n{len(results)} rows in {time.monotonic() - started:.0f} s; " + _summed_up(missed))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="two to three minutes: a first look, too short to see a fold"
    )
    size.add_argument(
        "--full", action="store_true", help="about three quarters of an hour: what docs/performance.md quotes"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="so many rounds of each row")
    parser.add_argument("--seconds", type=int, metavar="S", help="so many seconds a run")
    parser.add_argument("--only", type=_rows, metavar="P1,P2", help="measure only these rows")
    parser.add_argument(
        "--dir", metavar="DIR", help="where the data lies meanwhile (the system's temporary folder)"
    )
    return parser.parse_args()


def _rows(text: str) -> set[str]:
    known = {row for part in PARTS for row in part.rows}
    asked = set(text.split(","))
    if not asked <= known:
        raise argparse.ArgumentTypeError(f"known rows are {', '.join(sorted(known))}")
    return asked


def _measured(part: Part, plan: Plan) -> list[Result]:
    neighbours = Neighbours()
    results = part.measure(plan)
    cores = neighbours.cores()
    if cores > MOST_DISTURBED:
        results = [result.disturbed(cores) for result in results]
    for result in results:
        _show(result)
    return results


def _show(result: Result) -> None:
    goal, figure = result.goal, result.figure
    sign = "<=" if goal.at_most else ">="
    bounds = "" if goal.floor is None else f"floor {sign} {goal.floor:g}"
    if goal.target is not None:
        bounds += f", target {sign} {goal.target:g}"
    value = f"{_number(figure.value)} {goal.unit} [{_number(figure.low)}..{_number(figure.high)}]"
    print(f"{goal.row:<4} {goal.title:<48} {value:<32} {bounds:<28} {result.verdict}")
    for note in result.notes:
        print(f"       {note}")
    sys.stdout.flush()


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _summed_up(missed: list[str]) -> str:
    return f"below the floor: {', '.join(missed)}" if missed else "no floor was missed for certain"


def _machine() -> str:
    names = [
        line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")
    ]
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo")), 0)
    return (
        f"{len(os.sched_getaffinity(0))} cores of {names[0] if names else platform.machine()},"
        f" {memory / 2**20:.0f} GiB, {platform.system()} {platform.release()},"
        f" load {os.getloadavg()[0]:.1f} at the start\n"
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, aiohttp {version('aiohttp')},"
        f" uvloop {version('uvloop')}, load from {generator()}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WrongAnswerError as error:
        sys.exit(f"The benchmark stopped, because a run gave wrong answers: {error}")
