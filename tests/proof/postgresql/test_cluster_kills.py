"""Every process of a PostgreSQL cluster killed at once under load: what was told is there, and as it was told.

A kill cannot lose what reached the kernel's page cache, so it stands in for a loss of power only where the server had
not handed its log over yet. That is what the planted control shows: with synchronous_commit off, and a log writer that
waits ten seconds, verdicts were told whose log was still in the server's own memory. Where that writer's turn came just
before the kill nothing was lost, and the control is tried again.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from app.core.errors import StoreUnavailable
from app.core.model.verdict import Outcome, Verdict
from tests.conftest import Budget
from tests.contract.store.stage import gaps
from tests.contract.store.watched import Watched, request
from tests.fakes.postgres_pair import kill
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.prepared import Prepared, prepare
from tests.integration.postgresql.stage import PostgresqlStage
from tests.proof.harness import Prove

KILLS = {"short": 8, "long": 200}
CONTROLS = {"short": 3, "long": 10}
TRIES = 3  # of a control
SHOPPERS = 12
LABELS = 40
_FIRST_SERIAL = 20 * 10**15
_SETTINGS = {
    # only a commit hands the log over, nothing by the way does
    "wal_writer_delay": "10s",
    "wal_writer_flush_after": "1GB",
    "bgwriter_lru_maxpages": "0",
    "autovacuum": "off",
    "wal_buffers": "16MB",
    "dynamic_shared_memory_type": "mmap",  # a killed server leaves nothing in the machine's shared memory
}
_FACTS = "SELECT id, serial, ordinal, outcome FROM verification"
_STATES = "SELECT serial, count FROM label_history"

pytestmark = pytest.mark.xdist_group("cluster_kills")


@dataclass(slots=True)
class Load:
    """Shoppers before one engine; ``told`` is what they heard, ``unanswered`` the messages that nobody answered."""

    watched: Watched
    dice: random.Random
    told: list[tuple[int, str | None, Verdict]] = field(default_factory=list)
    unanswered: dict[str, int] = field(default_factory=dict)
    names: Iterator[int] = field(default_factory=itertools.count)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    shopping: list[asyncio.Task[None]] = field(default_factory=list)

    async def run_until(self, number: int) -> None:
        """Return when so many more were answered, with the shoppers still at it; see :meth:`end`."""
        enough = len(self.told) + number
        self.over, self.reached = False, asyncio.Event()
        self.shopping = [asyncio.create_task(self._shop(enough)) for _ in range(SHOPPERS)]
        await self.reached.wait()

    async def end(self) -> None:
        self.over = True
        await asyncio.gather(*self.shopping)

    async def ask(self, label: int, message: str | None) -> bool:
        """Ask, and tell whether there was an answer."""
        verdict = await self.watched.ask(label, message=message)
        if verdict.outcome is not Outcome.UNAVAILABLE:
            self.told.append((label, message, verdict))
            return True
        if message is not None:
            self.unanswered[message] = label
        return False

    async def _shop(self, enough: int) -> None:
        while not self.over:
            name = next(self.names)
            answered = await self.ask(self.dice.randrange(LABELS), f"{name}" if name % 2 else None)
            if len(self.told) >= enough or not answered:
                self.reached.set()
            if not answered:
                return


@dataclass(slots=True)
class Found:
    """What an inspection of the record found missing or different."""

    lost: int = 0
    changed: int = 0
    broken: int = 0


async def inspect(url: str, load: Load, since: int) -> Found:
    """Compare everything told with the record, and the answers to messages told from ``since`` on with theirs."""
    operator: Any = await asyncpg.connect(url)
    try:
        facts = {row["id"]: tuple(row)[1:] for row in await operator.fetch(_FACTS)}
        states = {row["serial"]: row["count"] for row in await operator.fetch(_STATES)}
    finally:
        await operator.close()
    found = Found()
    for label, _, verdict in load.told:
        fact = facts.get(verdict.verification_id)
        found.lost += fact is None
        found.changed += fact not in (None, (_FIRST_SERIAL + label, verdict.ordinal, verdict.outcome.value))
    for label, message, verdict in load.told[since:]:
        if message is not None:
            found.changed += await stored_answer(load, label, message) != verdict
    by_label: dict[int, list[int]] = defaultdict(list)
    for serial, ordinal, _ in facts.values():
        by_label[serial].append(ordinal)
    found.broken += sum(gaps(ordinals) != [] for ordinals in by_label.values())
    found.broken += states != {serial: len(ordinals) for serial, ordinals in by_label.items()}
    return found


async def stored_answer(load: Load, label: int, message: str) -> Verdict | None:
    return await load.watched.engine.find_answer(request(label, message=message))


async def serving(stage: PostgresqlStage, url: str) -> None:
    """Wait until the store that lost its connections records again."""
    operator: Any = await asyncpg.connect(url)
    try:
        for _ in range(3_000):  # a minute
            try:
                await stage.store.check()
            except StoreUnavailable:
                await operator.execute("SELECT pg_sleep(0.02)")
            else:
                return
    finally:
        await operator.close()
    raise AssertionError("the store does not come back")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(_SETTINGS)
    try:
        server.start()
        yield server
    finally:
        kill(server)
        server.remove()


@pytest.fixture(scope="module")
def prepared(server: PostgresServer) -> Prepared:
    return asyncio.run(prepare(server))


@pytest.mark.timeout(3600)
async def test_no_kill_of_a_cluster_loses_or_changes_a_verdict(
    server: PostgresServer, prepared: Prepared, prove: Prove, budget: Budget
) -> None:
    """One engine lives through all of it; messages that got no answer are asked again, as providers do."""
    await prepared.empty()
    dice, total, again = random.Random(11), Found(), 0
    stage = await PostgresqlStage.open(prepared.url)
    load = Load(await Watched.over(stage), dice)
    for _ in range(KILLS[budget]):
        since = len(load.told)
        await load.run_until(dice.randrange(1, 200))
        kill(server)
        await load.end()
        await asyncio.to_thread(server.start)
        await serving(stage, prepared.socket_url)
        for message, label in load.unanswered.items():
            again += await load.ask(label, message)
        load.unanswered.clear()
        found = await inspect(prepared.socket_url, load, since)
        total.lost, total.changed = total.lost + found.lost, total.changed + found.changed
        total.broken += found.broken
    alarms = len(load.watched.alarms)
    await load.watched.engine.close()
    await stage.close()
    prove(
        "power loss",
        breaches={
            "lost": total.lost,
            "changed": total.changed,
            "broken": total.broken,
            "false_alarms": alarms,
        },
        cluster_kills=KILLS[budget],
        cluster_verdicts=len(load.told),
        asked_again=again,
    )


@pytest.mark.timeout(600)
async def test_a_commit_that_waits_for_no_disk_is_caught_every_time(
    server: PostgresServer, prepared: Prepared, prove: Prove, budget: Budget
) -> None:
    """The service refuses such a server at its start, so it is made one behind its back."""
    dice, caught = random.Random(12), 0
    for _ in range(CONTROLS[budget]):
        for _ in range(TRIES):
            if await _lost_without_a_disk(server, prepared, dice):
                caught += 1
                break
    assert caught == CONTROLS[budget]
    prove("planted control", caught=caught)


async def _lost_without_a_disk(server: PostgresServer, prepared: Prepared, dice: random.Random) -> int:
    """Kill the cluster under a service whose commits wait for no disk; return how many told verdicts are lost."""
    await prepared.empty()
    stage = await PostgresqlStage.open(prepared.url)
    load = Load(await Watched.over(stage), dice)
    await stage.storage._recorder.run(lambda connection: connection.execute("SET synchronous_commit = off"))
    await load.run_until(dice.randrange(20, 200))
    kill(server)
    await load.end()
    await asyncio.to_thread(server.start)
    await serving(stage, prepared.socket_url)
    found = await inspect(prepared.socket_url, load, len(load.told))
    await load.watched.engine.close()
    await stage.close()
    return found.lost
