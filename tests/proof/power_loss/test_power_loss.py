"""Power loss on SQLite: nothing acknowledged is lost or changed, nothing is corrupt, and planted faults are caught."""

from __future__ import annotations

import asyncio
import functools
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from app.adapters.storage import sqlite
from app.adapters.storage.sqlite import database, writer
from app.adapters.storage.sqlite.histories import FoldLimits, Histories
from tests.proof.files.vfs import Named, Synced, Wrote
from tests.proof.harness import Prove
from tests.proof.power_loss.__main__ import main as replay
from tests.proof.power_loss.failing_syncs import FAILING, FailingSyncs, syncs_of
from tests.proof.power_loss.recording import FILE, Recording
from tests.proof.power_loss.recovery import Kind, Tally, crash
from tests.proof.power_loss.workload import record_workload

FOLD: Final = Histories.fold
SHORT, LONG = (
    [seed for number in numbers for seed in (f"evening {number}", f"{FAILING} {number}")]
    for numbers in (range(5), range(5, 100))
)
CRASHES: Final = 410
AGAIN_EVERY, SERVE_EVERY = 60, 60
CONTROL_STEPS: Final = 12
SEEDS: Final = [*SHORT, *(pytest.param(seed, marks=pytest.mark.long) for seed in LONG)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory where the machine has one: syncs of thousands of recoveries would wear a disk."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    (made / "first").mkdir()
    monkeypatch.setattr(
        database, "migrations", functools.cache(database.migrations)
    )  # thousands of openings read them
    yield made
    shutil.rmtree(made)


def points_of(now: Recording, count: int) -> list[int]:
    """Return points to crash at: half anywhere, half within the three calls after a COMMIT returned.

    Where syncs failed, half of the latter are within the twenty calls after one of those.
    """
    luck, last = Random(now.seed), len(now.operations)
    anywhere = [luck.randint(0, last) for _ in range(count // 2)]
    failed = [luck.choice(now.failed) + luck.randint(0, 20) for _ in range(count // 4 if now.failed else 0)]
    rest = count - len(anywhere) - len(failed)
    soon = [luck.choice(now.promises).position + luck.randint(0, 3) for _ in range(rest)]
    return [min(point, last) for point in anywhere + failed + soon]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_survives(seed: str, folder: Path, prove: Prove) -> None:
    now = asyncio.run(record_workload(folder / "first", seed, syncs=syncs_of(seed)))
    tally = Tally()
    points = points_of(now, CRASHES)
    failures = {"failed_syncs": len(now.failed)} if seed.startswith(FAILING) else {}
    crash(now, points, folder / "found", tally, again=AGAIN_EVERY, serve=SERVE_EVERY)
    for line in tally.told[:5]:
        print("replay with: python -m tests.proof.power_loss", line)  # noqa: T201 - pytest shows it with the failure
    prove(
        "power loss",
        breaches=tally.breaches,
        crashes=tally.crashes,
        commits=len(now.promises),
        checkpoints=sum(isinstance(op, Synced) and op.file == file_of(now) for op in now.operations),
        second_crashes=tally.second_crashes,
        restarts=tally.restarts,
        acknowledged_verdicts=tally.acknowledged,
        **failures,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_commits_that_are_not_synced_are_caught(
    seed: str, folder: Path, prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_commits_that_are_not_synced(monkeypatch)
    now = asyncio.run(record_workload(folder / "first", seed, steps=CONTROL_STEPS))
    assert_caught(now, folder)
    prove("planted control", caught=1)


def plant_commits_that_are_not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = tuple(pragma.replace("=FULL", "=NORMAL") for pragma in database.PRAGMAS)
    assert weak != database.PRAGMAS
    monkeypatch.setattr(database, "PRAGMAS", weak)


@pytest.mark.parametrize("seed", SHORT[:3])
def test_verdicts_before_their_commit_are_caught(
    seed: str, folder: Path, prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.Writer, "_transact", answer_before_commit)
    now = asyncio.run(record_workload(folder / "first", seed, steps=CONTROL_STEPS, only_asked=True))
    assert_caught(now, folder)
    prove("planted control", caught=1)


@pytest.mark.parametrize("seed", SHORT[:3])
def test_failed_syncs_that_nobody_notices_are_caught(seed: str, folder: Path, prove: Prove) -> None:
    syncs = FailingSyncs(seed, unnoticed=True)
    now = asyncio.run(record_workload(folder / "first", seed, steps=CONTROL_STEPS, syncs=syncs))
    assert_caught(now, folder)
    prove("planted control", caught=1)


@pytest.mark.parametrize("seed", SHORT[:3])
def test_a_start_that_leaves_the_name_of_the_log_to_sqlite_is_caught(
    seed: str, folder: Path, prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "sync_folder", lambda _folder: None)
    syncs = FailingSyncs(seed, {"folder": 1.0})
    now = asyncio.run(record_workload(folder / "first", seed, steps=CONTROL_STEPS, syncs=syncs))
    assert_caught(now, folder)
    prove("planted control", caught=1)


@pytest.mark.parametrize("seed", SHORT[:3])
def test_a_fold_that_tells_of_itself_too_early_is_caught(
    seed: str, folder: Path, prove: Prove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Histories, "fold", tell_then_fold)
    often = FoldLimits(labels=6, facts=20, slice=1)
    now = asyncio.run(
        record_workload(folder / "first", seed, steps=CONTROL_STEPS, only_asked=True, fold=often)
    )
    assert_caught(now, folder, "corrupt")
    prove("planted control", caught=1)


@pytest.mark.parametrize("seed", SHORT[:3])
def test_a_device_that_only_says_that_it_synced_is_caught(seed: str, folder: Path, prove: Prove) -> None:
    now = asyncio.run(record_workload(folder / "first", seed, steps=CONTROL_STEPS))
    synced, nothing = Synced(file_of(now), folder=False), Wrote(file_of(now), 0, b"")
    now.operations = [nothing if op == synced else op for op in now.operations]
    assert_caught(now, folder, "corrupt")
    prove("planted control", caught=1)


def file_of(now: Recording) -> int:
    """Return the number of the database's own file in the log."""
    return next(op.file for op in now.operations if isinstance(op, Named) and op.name == FILE and op.file)


def assert_caught(now: Recording, folder: Path, kind: Kind = "lost") -> None:
    tally = Tally()
    crash(now, points_of(now, 24), folder / "found", tally)
    assert tally.breaches[kind], f"the planted fault was not noticed: {tally.breaches}"
    assert kind == "corrupt" or now.failed or not tally.breaches["corrupt"], tally.told


def answer_before_commit(self: writer.Writer, work: Any, *, keep: bool) -> Any:
    """Plant the fault: each transaction commits only when the next one begins."""
    assert keep
    connection = self._connection
    if connection.in_transaction:
        connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    return work(connection, self._histories)


def tell_then_fold(self: Histories, labels: int) -> None:
    """Plant the fault: what a fold contains is noted in its first transaction, not in its last; one label each."""
    self._connection.execute("UPDATE fold SET through = max(through, ?)", (self.last_id,))
    FOLD(self, min(labels, 1))


@pytest.mark.parametrize("seed", SHORT[:2])
def test_a_seed_gives_the_same_log(seed: str, folder: Path) -> None:
    logs = []
    for name in ("first", "second"):
        (folder / name).mkdir(exist_ok=True)
        now = asyncio.run(record_workload(folder / name, seed, syncs=syncs_of(seed)))
        logs.append((now.operations, now.promises, now.tried, now.failed))
    assert logs[0] == logs[1]


def test_a_failure_is_replayed_by_what_it_prints(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plant_commits_that_are_not_synced(monkeypatch)
    now = asyncio.run(record_workload(folder / "first", SHORT[0]))
    tally = Tally()
    crash(now, points_of(now, 8), folder / "found", tally)
    line = tally.told[0]
    seed, point, turn = shlex.split(line.split(": ")[0])
    assert replay(seed, int(point), int(turn)) == 1
    assert capsys.readouterr().out.splitlines()[0] == line
