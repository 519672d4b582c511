"""kill -9 under load, again and again: no acknowledged verdict is lost or changed, and the ordinals stay gapless."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from app.core.model.verdict import Outcome
from tests.acceptance.record.conftest import LABELS, Site, stop
from tests.acceptance.record.crowd import Heard, Question, ask_all
from tests.conftest import Budget

CONNECTIONS = 24
FEW_CODES = 4


@dataclass(slots=True)
class _Memory:
    """Everything that was acknowledged, by Idempotency-Key, and what was asked without an answer."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    unanswered: list[Question] = field(default_factory=list)

    def hear(self, heard: Heard) -> None:
        if heard.status == 503:  # too late on a busy machine: asked again like one whose answer was lost
            self.unanswered.append(heard.question)
            return
        assert heard.status == 200, heard.body
        key = heard.question.key
        assert self.bodies.setdefault(key, heard.body) == heard.body
        self.codes[key] = heard.question.code

    def ordinals(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for key, body in self.bodies.items():
            found.setdefault(self.codes[key], []).append(json.loads(body)["ordinal"])
        return found


def _ask_until_killed(site: Site, memory: _Memory, run: int, dice: random.Random) -> None:
    """Serve, retry what the last kill left open (twice), ask under load, kill."""
    with site.serving() as (server, port):
        retries = iter([*memory.unanswered, *memory.unanswered])
        memory.unanswered = []
        left = asyncio.run(ask_all(port, CONNECTIONS, lambda: next(retries, None), memory.hear))
        assert not left
        sample = dice.sample(sorted(memory.bodies), min(200, len(memory.bodies)))
        again = iter([Question(code=memory.codes[key], key=key) for key in sample])
        assert not asyncio.run(ask_all(port, CONNECTIONS, lambda: next(again, None), memory.hear))
        numbers = iter(range(10**9))

        def next_question() -> Question:
            number = next(numbers)
            return Question(code=site.codes[number % FEW_CODES], key=f"run-{run}-{number}")

        killer = threading.Timer(dice.uniform(0.05, 0.5), server.process.kill)
        before = len(memory.bodies)

        def hear(heard: Heard) -> None:
            memory.hear(heard)
            if not killer.is_alive() and not killer.finished.is_set():
                killer.start()  # the load has begun

        memory.unanswered += asyncio.run(ask_all(port, CONNECTIONS, next_question, hear))
        killer.join()
        assert memory.unanswered, "the kill came between two questions of everyone"
        assert len(memory.bodies) > before or run > 0


@pytest.mark.timeout(3600)
def test_no_acknowledged_verdict_is_lost_over_http(site: Site, budget: Budget) -> None:
    kills = 10 if budget == "short" else 100
    memory, dice = _Memory(), random.Random(20261121)
    for run in range(kills):
        _ask_until_killed(site, memory, run, dice)
    with site.serving() as (server, port):
        everything = [Question(code=code, key=key) for key, code in memory.codes.items()]
        for _ in range(20):
            rest = iter([*memory.unanswered, *everything])
            memory.unanswered, everything = [], []
            assert not asyncio.run(ask_all(port, CONNECTIONS, lambda: next(rest, None), memory.hear))  # noqa: B023
        assert not memory.unanswered
        stop(server)
    for ordinals in memory.ordinals().values():
        assert sorted(ordinals) == list(range(1, len(ordinals) + 1))
    assert _facts(site) == sum(map(len, memory.ordinals().values()))


def _facts(site: Site) -> int:
    with closing(sqlite3.connect(site.database)) as db:
        return int(db.execute("SELECT count(*) FROM verification").fetchone()[0])


@pytest.mark.timeout(3600)
def test_no_acknowledged_verdict_is_lost_in_the_midst_of_folds(site: Site, budget: Budget) -> None:
    """The engine alone, folding all the time, killed at any moment: folds and facts must agree afterwards."""
    kills = 10 if budget == "short" else 100
    dice = random.Random(7)
    told: list[list[str]] = []
    for _ in range(kills):
        process = site.module("second_process", site.folder, "OFTEN", 16, 10**9, *site.codes)
        assert process.stdout is not None
        for _ in range(dice.randint(50, 1500)):
            told += [process.stdout.readline().split()]
        process.kill()
        told += [
            line.split() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")
        ]
        process.stdout.close()
        process.wait(30)
    last = site.module("second_process", site.folder, "OFTEN", 16, 2 * LABELS, *site.codes)
    output, _ = last.communicate(timeout=300)
    told += [line.split() for line in output.splitlines()]
    with closing(sqlite3.connect(site.database)) as db:
        facts = {
            number: (serial, ordinal, outcome)
            for number, serial, ordinal, outcome in db.execute(
                "SELECT id, serial, ordinal, outcome FROM verification"
            )
        }
        folded = dict(db.execute("SELECT serial, count FROM label_history"))
        first = db.execute("SELECT first_serial FROM batch").fetchone()[0]
    assert {line[5] for line in told} <= set(Outcome) - {Outcome.UNAVAILABLE}
    for place, ordinal, _, _, number, outcome in told:
        assert facts[int(number)] == (first + int(place), int(ordinal), outcome)
    for label in range(LABELS):
        ordinals = sorted(ordinal for serial, ordinal, _ in facts.values() if serial == first + label)
        assert ordinals == list(range(1, len(ordinals) + 1))
        assert folded.get(first + label, 0) == len(ordinals), (label, ordinals, folded)
