"""The network to Redis fails in every way while shoppers ask two machines: each gets a verdict, and none a "not now".

The machines have a data folder and a copy of the key file each, as on thirty machines that share nothing else.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.many_machines.crowd import Crowd
from tests.acceptance.many_machines.fleet import Fleet, Machine, fleet, recorded
from tests.acceptance.many_machines.lines import DEADLINES_S
from tests.contract.store.history import faults
from tests.fakes.postgres_server import PostgresServer
from tests.fakes.redis_server import RedisServer
from tests.integration.redis.relay import Fault, Relay, relay_to
from tests.run_delay import run_delay_s

LABELS, FEW = 40, 5
SLACK = 1.5  # of a channel's deadline, for a machine that everything here shares
SEEN_WITHIN_S, SEEN_SLACK = 2.0, 3.0  # that Redis went or is back
PATIENCE_S = 60.0


def settle_elsewhere(machines: Fleet, folder: Path) -> None:
    """Give the last machine a folder of its own, with copies of the keys and the hotline's clips."""
    shutil.copytree(machines.shell.folder, folder)
    machines.machines[-1] = Machine(replace(machines.shell, folder=folder), "elsewhere")


async def _until_redis_is(up: bool, machines: Fleet) -> None:
    """Wait until each machine says so of itself; fails where it takes too long, but for the waits for a core."""
    wanted, loop = f"yanzhen_redis_up {float(up)}", asyncio.get_running_loop()
    began, delayed = loop.time(), _delayed_s(machines)
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        for machine in machines.machines:
            said = ""
            while wanted not in said:
                async with session.get(f"{machine.url}/metrics") as response:
                    said = await response.text()
    assert loop.time() - began - (_delayed_s(machines) - delayed) <= SEEN_WITHIN_S * SEEN_SLACK


def _delayed_s(machines: Fleet) -> float:
    pids = [machine.process.pid for machine in machines.machines if machine.process is not None]
    return run_delay_s() + max(map(run_delay_s, pids))


async def _shopping(crowd: Crowd, machines: Fleet, relay: Relay) -> None:
    await asyncio.to_thread(machines.start)
    async with asyncio.timeout(600), asyncio.TaskGroup() as town:
        town.create_task(crowd.come())
        await crowd.hear(50)
        for fault in (Fault.HOLE, Fault.SLOW, Fault.CUT):
            relay.fault = fault
            await _until_redis_is(False, machines)
            await crowd.hear(50)
            relay.fault = Fault.NONE
            await _until_redis_is(True, machines)
            await crowd.hear(50)
        for _ in range(5):
            relay.fault = Fault.CUT
            await crowd.hear(10)
            relay.fault = Fault.NONE
            await crowd.hear(10)
        crowd.go_home()
    await asyncio.to_thread(machines.stop)


@pytest.mark.timeout(900)
async def test_no_trouble_with_redis_reaches_a_shopper(
    database: PostgresServer, redis: RedisServer, tmp_path: Path
) -> None:
    async with relay_to(redis.port) as relay:
        services = {
            "YANZHEN_DATABASE_URL": database.url(),
            "YANZHEN_REDIS_URL": f"redis://127.0.0.1:{relay.port}",
        }
        made = await asyncio.to_thread(
            fleet(tmp_path / "data", services, workers=(1, 1), labels=LABELS).__enter__
        )
        settle_elsewhere(made, tmp_path / "elsewhere")
        crowd = Crowd(fleet=made, few=FEW, dice=random.Random(20261121))
        try:
            await _shopping(crowd, made, relay)
        finally:
            made.kill()
    put_off = crowd.put_off - crowd.put_off_by_the_machine
    assert (dict(put_off), crowd.unanswered) == ({}, 0), made.logs()[-3000:]
    record = await recorded(database.url())
    assert faults(crowd.answers, record) == []
    assert len({answer.message for answer in crowd.answers}) == crowd.asked == len(record)
    assert set(crowd.told) == set(DEADLINES_S)
    assert not crowd.late(SLACK), crowd.took_s
