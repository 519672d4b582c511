"""Three machines, every channel, and kills of whatever can be killed: afterwards there is one history.

Every ordinal once, none missing, in the order of time; nobody told "first" twice; nothing told that is not recorded.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.many_machines.crowd import Crowd
from tests.acceptance.many_machines.fleet import Fleet, fleet, recorded
from tests.acceptance.many_machines.lines import DEADLINES_S
from tests.conftest import Budget
from tests.contract.store.history import faults
from tests.fakes.postgres_server import PostgresServer
from tests.fakes.redis_server import RedisServer
from tests.proof.harness import Prove

WORKERS: Final = (2, 1, 1)  # of each machine
LABELS, FEW = 40, 5
SLACK = 1.5  # of a channel's deadline, for a machine that everything here shares


@pytest.fixture
def machines(database: PostgresServer, redis: RedisServer, tmp_path: Path) -> Iterator[Fleet]:
    services = {"YANZHEN_DATABASE_URL": database.url(), "YANZHEN_REDIS_URL": redis.url}
    with fleet(tmp_path / "data", services, workers=WORKERS, labels=LABELS) as made:
        made.start()
        yield made


@dataclass(kw_only=True)
class Deeds:
    """What is done to the town: something is killed, and brought back beside the crowd. ``kills`` counts processes."""

    machines: Fleet
    database: PostgresServer
    redis: RedisServer
    kills: int = 0

    async def kill_machine(self, number: int) -> None:
        machine = self.machines.machines[number // 3 % len(self.machines.machines)]
        self.kills += machine.workers
        await self.machines.restart(machine.kill, self.machines.bring_back(machine))

    async def kill_worker(self, _: int) -> None:
        self.kills += 1
        (several,) = (machine for machine in self.machines.machines if machine.workers > 1)
        await asyncio.to_thread(several.kill_worker)  # its supervisor brings another

    async def kill_redis(self, _: int) -> None:
        self.kills += 1
        await self.machines.restart(self.redis.kill, lambda: self.redis.start() and None)

    async def kill_database(self, _: int) -> None:
        def lose() -> None:
            self.database.stop(
                signal.SIGQUIT
            )  # what pg_ctl calls immediate: nothing is written, it must recover

        self.kills += 1
        await self.machines.restart(lose, self.database.start)

    async def do(self, number: int) -> None:
        """Do the next of them, each time with another machine."""
        together = (
            (self.kill_machine,),
            (self.kill_worker, self.kill_database),
            (self.kill_worker, self.kill_redis),
            (self.kill_machine, self.kill_database),
        )[number % 4]
        await asyncio.gather(*(deed(number) for deed in together))


async def _shopping(crowd: Crowd, deeds: Deeds, *, times: int, between: int) -> None:
    """Do something after every ``between`` answers."""
    async with asyncio.timeout(3000), asyncio.TaskGroup() as town:
        town.create_task(crowd.come())
        for number in range(times):
            await crowd.hear(between)
            await deeds.do(number)
        await crowd.hear(between)
        crowd.go_home()


@pytest.mark.timeout(3600)
def test_whatever_is_killed_there_is_one_history(
    machines: Fleet, database: PostgresServer, redis: RedisServer, budget: Budget, prove: Prove
) -> None:
    times, between, thinking_s = (4, 60, 0.1) if budget == "short" else (100, 1500, 0.0)
    crowd = Crowd(fleet=machines, few=FEW, dice=random.Random(20261121), thinking_s=thinking_s)
    deeds = Deeds(machines=machines, database=database, redis=redis)
    asyncio.run(_shopping(crowd, deeds, times=times, between=between))
    machines.stop()
    record = asyncio.run(recorded(database.url()))
    wrong = faults(crowd.answers, record)
    assert wrong == []
    # every message was brought until it was answered, and none was counted twice
    assert len({answer.message for answer in crowd.answers}) == crowd.asked == len(record)
    assert set(crowd.told) == set(DEADLINES_S)
    assert sum(crowd.put_off.values()) + crowd.unanswered > 0, "nothing was killed"
    assert not crowd.late(SLACK), crowd.took_s
    prove(
        "many machines",
        breaches={"faults": len(wrong)},
        answers=len(crowd.answers),
        kills=deeds.kills,
        channels=len(crowd.told),
    )
