"""Workers with a Redis share their limits; one leads, somebody does while Redis is away, and all stop in order."""

import asyncio
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.adapters.storage.postgresql.leadership import LOCKS
from app.cli.exits import Exit
from app.core.model.check_digits import check_digits_for
from tests.acceptance.workers.conftest import Stock
from tests.acceptance.workers.crew import PATIENCE_S, Crew
from tests.acceptance.workers.crowd import Answer, Client, Crowd, prove_one_history
from tests.fakes.redis_server import RedisServer, wait_until

pytestmark = pytest.mark.xdist_group("workers")

PER_MINUTE = 60
VISITS = 10
LEASES = [b"yanzhen:l:deliveries"]
crew_pause = threading.Event()  # never set: its wait is a pause
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
        codes, answers, put_off, began_s = stock.take(10), list[Answer](), 0, time.monotonic()
        for visit in range(VISITS):
            async with Crowd(crew.port, codes, 32, f"shared-{visit}", renews_after=5) as crowd:
                await crowd.until_answered(300)
            answers.extend(crowd.answers)
            put_off += crowd.put_off
            await asyncio.to_thread(crew.until, lambda: len(crew.seen("verification")) >= len(answers))
            workers = {line["worker"] for line in crew.seen("verification")}
            if workers == {1, 2}:
                break  # on a busy machine one of them may have taken every connection
        came_back = PER_MINUTE * (time.monotonic() - began_s) / 60
        assert workers == {1, 2}
        statuses = Counter(answer.status for answer in answers)
        assert set(statuses) == {200, 429}
        # a Redis that a busy machine keeps waiting looks away, and each worker then grants half a limit alone
        alone = PER_MINUTE if crew.seen("redis_lost") else 0
        assert came_back < PER_MINUTE * 0.8, "or it could be a second share"
        assert PER_MINUTE - put_off <= statuses[200] <= PER_MINUTE * 1.2 + came_back + alone
        with redis.admin() as admin:
            await asyncio.to_thread(wait_until, lambda: admin.keys("yanzhen:l:*") == LEASES, "one that leads")
        assert await until_scraped(crew.port, "yanzhen_redis_up", least=2) == {"": 2.0}
    finally:
        assert crew.stop() == 0


async def _stop_under_load(crew: Crew, codes: list[str]) -> float:
    """Return the seconds that it took; every answer is a verdict, and every connection was ended in good order."""
    idle = Client(crew.port)
    assert (await idle.get("/livez"))[0] == 200
    async with Crowd(crew.port, codes, 16, "stop", ends=True) as crowd:
        await crowd.until_answered(200)
        began = time.monotonic()
        crew.signal(signal.SIGTERM)
        assert await asyncio.to_thread(crew.process.wait, 60) == 0
        took = time.monotonic() - began
    idle.close()
    assert crowd.lost == 0
    prove_one_history(crowd.answers)
    return took


async def test_a_dead_leader_is_followed_although_redis_is_away_and_a_stop_under_load_drains(
    own_stock: Stock, redis: RedisServer
) -> None:
    crew = Crew(own_stock.shell.folder, own_stock.shell.url, YANZHEN_REDIS_URL=redis.url)
    try:
        await asyncio.to_thread(crew.until_seen, "worker_ready", 2)
        [leader] = await leaders(own_stock.shell.url, lambda ports: len(ports) > 0)
        redis.kill()
        pids = [line["pid"] for line in crew.seen("worker_ready")]
        os.kill(worker_on(leader, pids), signal.SIGKILL)
        [successor] = await leaders(own_stock.shell.url, lambda ports: ports not in ([], [leader]))
        assert successor != leader
        await asyncio.to_thread(crew.until_seen, "worker_ready", 3)
        assert await _stop_under_load(crew, own_stock.take(40)) < 10
    finally:
        assert crew.stop() == 0
    assert not crew.seen("worker_killed")
    assert len(crew.seen("stopped")) == 2
    assert await leaders(own_stock.shell.url, lambda ports: not ports) == []


async def test_an_attack_on_both_workers_is_told_once_and_a_recall_holds_in_both(
    own_stock: Stock, redis: RedisServer
) -> None:
    """What workers share beside limits: the watch on wrong codes, and the catalogue, also once Redis is dead."""
    crew = Crew(own_stock.shell.folder, own_stock.shell.url, YANZHEN_REDIS_URL=redis.url)
    try:
        await asyncio.to_thread(crew.until_seen, "worker_ready", 2)
        await guess(crew, own_stock.take(1)[0][:-9])
        await recall_and_void(crew, own_stock, redis)
    finally:
        assert crew.stop() == 0
    assert len(crew.seen("wrong_code_burst")) == 1
    assert [line["kind"] for line in crew.seen("neighbourhood_burst")] == ["wrong_tags"]


async def guess(crew: Crew, serial: str) -> None:
    bodies = [f"{serial}{number:07}" for number in range(40)]
    async with Crowd(crew.port, [body + check_digits_for(body) for body in bodies], 16, "guesses") as crowd:
        await crowd.until_answered(60)
    await asyncio.to_thread(crew.until_seen, "wrong_code_burst")
    await asyncio.to_thread(crew.until_seen, "neighbourhood_burst")
    assert await until_scraped(crew.port, "yanzhen_wrong_code_burst", least=1) == {'{channel="api"}': 1}
    bursts = await until_scraped(crew.port, "yanzhen_neighbourhood_bursts_total", least=1)
    assert bursts == {'{kind="near_label"}': 0, '{kind="wrong_tags"}': 1}


async def recall_and_void(crew: Crew, stock: Stock, redis: RedisServer) -> None:
    genuine = {"first", "repeat", "over_limit"}
    changes = (
        (("batch", "recall", 1, "--reason", "玻璃碎片"), {"recalled"}),
        (("batch", "recall", 1, "--lift"), genuine),
        (("batch", "void", 1), {"voided"}),
    )
    for words, outcomes in changes:
        if words[1] == "void":
            await until_scraped(crew.port, 'yanzhen_catalogue_loads_total{source="redis"}', least=1)
            redis.kill()
        await asyncio.to_thread(stock.shell.run, *words)
        async with Crowd(crew.port, stock.take(40), 16, f"{words[1]}-{len(words)}") as crowd:
            await crowd.until_answered(100)
        assert {answer.status for answer in crowd.answers} == {200}, crew.lines[-5:]
        assert {answer.document["outcome"] for answer in crowd.answers} <= outcomes, words


async def until_scraped(port: int, name: str, least: int = 0) -> dict[str, float]:
    """Return the samples of a metric by their labels, once any of them reaches ``least``."""
    client = Client(port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                _, page = await client.get("/metrics")
                found = dict(
                    re.findall(rf"^{re.escape(name)}(\{{.*\}})? (\S+)$", page.decode(), re.MULTILINE)
                )
                numbers = {labels: float(number) for labels, number in found.items()}
                if numbers and max(numbers.values()) >= least:
                    return numbers
                await asyncio.to_thread(crew_pause.wait, 0.1)
    finally:
        client.close()


def test_duties_by_a_redis_that_is_not_set_are_refused(stock: Stock) -> None:
    crew = Crew(stock.shell.folder, stock.shell.url, workers=1, YANZHEN_DUTIES_BY="redis")
    assert crew.process.wait(PATIENCE_S) == Exit.USAGE
    crew.stop()
    assert any("redis_url" in line.get("text", "") for line in crew.lines)
