"""The primary is lost under load and its standby promoted: nothing that was told is lost, and answers go on coming."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.many_machines.crowd import Crowd
from tests.acceptance.many_machines.fleet import Fleet, fleet, recorded
from tests.conftest import Budget
from tests.contract.store.history import faults
from tests.fakes.postgres_pair import PostgresPair, freeze, kill
from tests.fakes.postgres_server import PostgresServer
from tests.run_delay import run_delay_s

MACHINES, LABELS, FEW = 2, 40, 5
SLACK = 1.5  # of a channel's deadline, for a machine that everything here shares
SERVING_WITHIN_S, SERVING_SLACK = 2.0, 3.0


@pytest.fixture
def pair() -> Iterator[PostgresPair]:
    pair = PostgresPair()
    try:
        asyncio.run(pair.start())
        yield pair
    finally:
        pair.remove()


@pytest.fixture
def machines(pair: PostgresPair, tmp_path: Path) -> Iterator[Fleet]:
    services = {"YANZHEN_DATABASE_URL": pair.url()}
    with fleet(tmp_path / "data", services, workers=(1,) * MACHINES, labels=LABELS) as made:
        made.start()
        yield made


async def _lose_the_primary(
    crowd: Crowd, pair: PostgresPair, lose: Callable[[PostgresServer], None], answers: int
) -> tuple[int, float]:
    """Let the crowd ask through it all; return the monotonic nanosecond at which the standby was promoted, and for how
    many seconds what serves waited for a core from then until every machine had answered.
    """
    async with asyncio.timeout(600), asyncio.TaskGroup() as town:
        town.create_task(crowd.come())
        await crowd.hear(answers)
        await asyncio.to_thread(lose, pair.primary)
        await crowd.be_put_off(10)
        await asyncio.to_thread(pair.standby.promote)
        promoted_ns, delayed_s = time.monotonic_ns(), _delayed_s(crowd.fleet)
        while len({name for name, at_ns in crowd.served if at_ns > promoted_ns}) < MACHINES:
            await crowd.hear(1)
        delayed_s = _delayed_s(crowd.fleet) - delayed_s
        await crowd.hear(answers)
        crowd.go_home()
    return promoted_ns, delayed_s


def _delayed_s(machines: Fleet) -> float:
    """The crowd's own waits for a core, and twice those of a machine: the database's are taken to be alike."""
    pids = [machine.process.pid for machine in machines.machines if machine.process is not None]
    return run_delay_s() + 2 * max(map(run_delay_s, pids))


@pytest.mark.parametrize("lose", [kill, freeze], ids=["killed", "silent"])
@pytest.mark.timeout(1200)
def test_a_lost_primary_loses_nothing(
    machines: Fleet, pair: PostgresPair, lose: Callable[[PostgresServer], None], budget: Budget
) -> None:
    answers = 120 if budget == "short" else 5000
    crowd = Crowd(fleet=machines, few=FEW, dice=random.Random(20261121))
    promoted_ns, delayed_s = asyncio.run(_lose_the_primary(crowd, pair, lose, answers))
    machines.stop()
    kill(pair.primary)
    record = asyncio.run(recorded(pair.standby.url()))
    assert faults(crowd.answers, record) == []
    assert len({answer.message for answer in crowd.answers}) == crowd.asked == len(record)
    assert not crowd.late(SLACK), crowd.took_s
    first = {
        name: min(at for who, at in crowd.served if who == name and at > promoted_ns)
        for name, _ in crowd.served
    }
    after_s = {name: (at - promoted_ns) / 1e9 for name, at in first.items()}
    assert len(after_s) == MACHINES
    assert max(after_s.values()) - delayed_s <= SERVING_WITHIN_S * SERVING_SLACK, after_s
