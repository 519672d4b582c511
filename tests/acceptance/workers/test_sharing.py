"""Workers with a Redis share their limits; one of them leads, and somebody does while Redis is away."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.adapters.storage.postgresql.leadership import LOCKS
from app.cli.exits import Exit
from tests.acceptance.workers.conftest import Stock
from tests.acceptance.workers.crew import PATIENCE_S, Crew
from tests.acceptance.workers.crowd import Answer, Client, Crowd
from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.xdist_group("workers")

PER_MINUTE = 60
VISITS = 10
_LEADERS = (
    "SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE locktype = 'advisory' AND classid = $1 AND granted AND a.datname = current_database()"
)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.kill()


async def leaders(url: str, enough: Callable[[list[int]], bool]) -> list[int]:
    """Return the ports of whoever leads, by the record, once they are ``enough``."""
    connection: Any = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                ports = [row[0] for row in await connection.fetch(_LEADERS, LOCKS)]
                if enough(ports):
                    return ports
                await connection.execute("SELECT pg_sleep(0.05)")
    finally:
        await connection.close()


def worker_on(port: int, pids: list[int]) -> int:
    """Return the process of ``pids`` that has a connection from the local ``port``."""
    own = f":{port:04X} "
    inodes = {
        f"socket:[{line.split()[9]}]"
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        if own in f"{line.split()[1]} "
    }
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(file.readlink()) in inodes:
                    return pid
            except FileNotFoundError:  # closed meanwhile
                continue
    raise AssertionError((port, pids))


async def test_limits_hold_over_all_workers_and_one_leads(stock: Stock, redis: RedisServer) -> None:
    shared = {
        "YANZHEN_REDIS_URL": redis.url,
        "YANZHEN_THROTTLE__ENABLED": "true",
        "YANZHEN_THROTTLE__IP_PER_MINUTE": str(PER_MINUTE),
        "YANZHEN_DUTIES_BY": "redis",
    }
    crew = Crew(stock.shell.folder, stock.shell.url, **shared)
    try:
        await asyncio.to_thread(crew.until_seen, "worker_ready", 2)
        codes, answers, began_s = stock.take(10), list[Answer](), time.monotonic()
        for visit in range(VISITS):
            async with Crowd(crew.port, codes, 32, f"shared-{visit}") as crowd:
                await crowd.until_answered(300)
            answers.extend(crowd.answers)
            await asyncio.to_thread(crew.until, lambda: len(crew.seen("verification")) >= len(answers))
            workers = {line["worker"] for line in crew.seen("verification")}
            if workers == {1, 2}:
                break  # on a busy machine one of them may have taken every connection
        came_back = PER_MINUTE * (time.monotonic() - began_s) / 60
        assert workers == {1, 2}
        statuses = Counter(answer.status for answer in answers)
        assert set(statuses) == {200, 429}
        assert PER_MINUTE <= statuses[200] <= PER_MINUTE * 1.2 + came_back < 2 * PER_MINUTE, "no second share"
        with redis.admin() as admin:
            assert [key.decode() for key in admin.keys("yanzhen:l:*")] == ["yanzhen:l:deliveries"]
        client = Client(crew.port)
        _, page = await client.get("/metrics")
        client.close()
        assert b"yanzhen_redis_up 2.0" in page
    finally:
        assert crew.stop() == 0


async def test_a_dead_leader_is_followed_although_redis_is_away(own_stock: Stock, redis: RedisServer) -> None:
    crew = Crew(own_stock.shell.folder, own_stock.shell.url, YANZHEN_REDIS_URL=redis.url)
    try:
        await asyncio.to_thread(crew.until_seen, "worker_ready", 2)
        [leader] = await leaders(own_stock.shell.url, lambda ports: len(ports) > 0)
        redis.kill()
        pids = [line["pid"] for line in crew.seen("worker_ready")]
        os.kill(worker_on(leader, pids), signal.SIGKILL)
        [successor] = await leaders(own_stock.shell.url, lambda ports: ports not in ([], [leader]))
        assert successor != leader
    finally:
        assert crew.stop() == 0
    assert await leaders(own_stock.shell.url, lambda ports: not ports) == []


def test_duties_by_a_redis_that_is_not_set_are_refused(stock: Stock) -> None:
    crew = Crew(stock.shell.folder, stock.shell.url, workers=1, YANZHEN_DUTIES_BY="redis")
    assert crew.process.wait(PATIENCE_S) == Exit.USAGE
    crew.stop()
    assert any("redis_url" in line.get("text", "") for line in crew.lines)
