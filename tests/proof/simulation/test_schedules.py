"""Thousands of schedules of the whole path, one a seed; each failure names its seed and the command that replays it.

A seed is played again, with everything that happened in it, by
``YANZHEN_TEST_SEED=123 pytest tests/proof/simulation -k replay``.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.conftest import Budget
from tests.proof.harness import Prove
from tests.proof.simulation.mutants import MUTANTS, ON_POSTGRESQL, ON_SQLITE, SOUND, Mutant
from tests.proof.simulation.postgresql_books import remove_database
from tests.proof.simulation.schedule import Outcome, play
from tests.proof.simulation.sqlite_books import remove_prepared

_ROOT = Path(__file__).resolve().parents[3]
_SEED = "YANZHEN_TEST_SEED"
_CHUNKS = 8
_SCHEDULES = {"short": 5_000, "long": 50_000}
_SQLITE_EVERY = 10  # a file costs three times what memory does
_ON_POSTGRESQL = {"short": 20, "long": 500}  # a server costs ten times
_FROM = 10_000_000  # seeds from here on are played on PostgreSQL
_CAUGHT_WITHIN = 150
_SHOWN = 3
_TOLD = ("answers", "pushed", "crashes", "stops", "redeliveries")
_ALIKE = (3, 2 * _SQLITE_EVERY, 71)


@pytest.fixture(scope="module", autouse=True)
def unhurried_collector() -> Iterator[None]:
    """Look at what is under way as seldom as the service does."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    yield
    gc.set_threshold(*before)
    remove_prepared()
    remove_database()


def variant(seed: int) -> Mutant:
    """Return whether a seed is played in memory, on SQLite or on PostgreSQL."""
    if seed >= _FROM:
        return ON_POSTGRESQL
    return SOUND if seed % _SQLITE_EVERY else ON_SQLITE


def told(outcome: Outcome) -> str:
    """Return what is said of a seed that broke a promise."""
    return "\n".join(
        (
            f"seed {outcome.seed} broke {len(outcome.breaches)}; replay it by",
            f"  {_SEED}={outcome.seed} .venv/bin/python -m pytest tests/proof/simulation -k replay",
            *(f"  {breach}" for breach in outcome.breaches[:5]),
        )
    )


@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_every_promise_holds_in_every_schedule(chunk: int, prove: Prove, budget: Budget) -> None:
    share = _SCHEDULES[budget] // _CHUNKS
    play_all(range(chunk * share, (chunk + 1) * share), prove, "on_sqlite", "unknown_pushes")


@pytest.mark.timeout(3_600)
def test_every_promise_holds_on_a_postgresql_server(prove: Prove, budget: Budget) -> None:
    play_all(range(_FROM, _FROM + _ON_POSTGRESQL[budget]), prove, "on_postgresql")


def play_all(seeds: range, prove: Prove, *more: str) -> None:
    """Play every seed and tell of them, also ``more`` of what was counted."""
    counts: Counter[str] = Counter()
    broken: list[Outcome] = []
    for seed in seeds:
        outcome = play(seed, variant(seed))
        counts.update(outcome.counts)
        counts["on_sqlite"] += variant(seed) is ON_SQLITE
        counts["on_postgresql"] += variant(seed) is ON_POSTGRESQL
        if outcome.breaches:
            broken.append(outcome)
    sys.stdout.write("\n".join(told(outcome) for outcome in broken[:_SHOWN]))
    prove(
        "schedules",
        breaches={"broken": len(broken)},
        schedules=len(seeds),
        **{what: counts[what] for what in (*_TOLD, *more)},
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_planted_fault_is_caught(mutant: Mutant, prove: Prove) -> None:
    caught = next((seed for seed in range(_CAUGHT_WITHIN) if play(seed, mutant).breaches), None)
    assert caught is not None, f"{_CAUGHT_WITHIN} schedules did not notice: {mutant.name}"
    prove("planted control", caught=1)


def test_a_schedule_is_the_same_every_time() -> None:
    """In a process of its own as well, where every set has another order."""
    here = digests()
    assert digests() == here
    program = "from tests.proof.simulation.test_schedules import digests; print(*digests())"
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        cwd=_ROOT,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert elsewhere.stdout.split() == here


def test_another_seed_is_another_schedule() -> None:
    assert len(set(digests())) == len(_ALIKE)


def digests() -> list[str]:
    """Return a digest of everything that happened in some schedules."""
    return [sha256("\n".join(play(seed, variant(seed)).trace()).encode()).hexdigest() for seed in _ALIKE]


def test_replay() -> None:
    """Play the seed that the environment names, or the first; a broken one is shown from beginning to end."""
    outcome = play(seed := int(os.environ.get(_SEED, "0")), variant(seed))
    if outcome.breaches or _SEED in os.environ:
        sys.stdout.write("\n".join(outcome.trace()))
    assert not outcome.breaches, told(outcome)
