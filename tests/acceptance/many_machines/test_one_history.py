"""Three machines, every channel, and kills of whatever can be killed: afterwards there is one history.

Every ordinal once, none missing, in the order of time; nobody told "first" twice; nothing told that is not recorded.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.many_machines.crowd import Crowd
from tests.acceptance.many_machines.fleet import Fleet, fleet, recorded
from tests.acceptance.many_machines.lines import DEADLINES_S
from tests.conftest import Budget
from tests.contract.store.history import faults
from tests.fakes.postgres_server import PostgresServer
from tests.fakes.redis_server import RedisServer

MACHINES, LABELS, FEW = 3, 40, 5
SLACK = 1.5  # of a channel's deadline, for a machine that everything here shares


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis").start()
    yield server
    server.kill()


@pytest.fixture
def machines(database: PostgresServer, redis: RedisServer, tmp_path: Path) -> Iterator[Fleet]:
    services = {"YANZHEN_DATABASE_URL": database.url(), "YANZHEN_REDIS_URL": redis.url}
    with fleet(tmp_path / "data", services, machines=MACHINES, labels=LABELS) as made:
        made.start()
        yield made


async def _shopping(
    crowd: Crowd, machines: Fleet, database: PostgresServer, redis: RedisServer, *, kills: int, between: int
) -> None:
    """Kill something after every ``between`` answers, and bring it back beside the crowd."""

    def lose_database() -> None:
        database.stop(signal.SIGQUIT)  # what pg_ctl calls immediate: nothing is written, it must recover

    async def kill_machine(number: int) -> None:
        machine = machines.machines[number % MACHINES]
        await machines.restart(machine.kill, machines.bring_back(machine))

    async def kill_redis(_: int) -> None:
        await machines.restart(redis.kill, lambda: redis.start() and None)

    async def kill_database(_: int) -> None:
        await machines.restart(lose_database, database.start)

    async def kill_both(number: int) -> None:
        await asyncio.gather(kill_database(number), kill_machine(number))

    async with asyncio.timeout(1800), asyncio.TaskGroup() as town:
        town.create_task(crowd.come())
        deeds = (kill_machine, kill_database, kill_redis, kill_both)
        for number in range(kills):
            await crowd.hear(between)
            await deeds[number % len(deeds)](number)
        await crowd.hear(between)
        crowd.go_home()


@pytest.mark.timeout(3600)
def test_whatever_is_killed_there_is_one_history(
    machines: Fleet, database: PostgresServer, redis: RedisServer, budget: Budget
) -> None:
    kills, between = (4, 150) if budget == "short" else (100, 1500)
    crowd = Crowd(fleet=machines, few=FEW, dice=random.Random(20261121))
    asyncio.run(_shopping(crowd, machines, database, redis, kills=kills, between=between))
    machines.stop()
    record = asyncio.run(recorded(database.url()))
    assert faults(crowd.answers, record) == []
    # every message was brought until it was answered, and none was counted twice
    assert len({answer.message for answer in crowd.answers}) == crowd.asked == len(record)
    assert set(crowd.told) == set(DEADLINES_S)
    assert sum(crowd.put_off.values()) + crowd.unanswered > 0, "nothing was killed"
    late = {channel: took for channel, took in crowd.took_s.items() if took > DEADLINES_S[channel] * SLACK}
    assert not late, crowd.took_s
