"""Workers with a Redis share their limits, and one of them leads."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.workers.conftest import Stock
from tests.acceptance.workers.crew import Crew
from tests.acceptance.workers.crowd import Client, Crowd
from tests.fakes.redis_server import RedisServer

pytestmark = pytest.mark.xdist_group("workers")

PER_MINUTE = 60


async def test_limits_hold_over_all_workers_and_one_leads(stock: Stock, tmp_path: Path) -> None:
    redis = RedisServer(tmp_path).start()
    shared = {
        "YANZHEN_REDIS_URL": redis.url,
        "YANZHEN_THROTTLE__ENABLED": "true",
        "YANZHEN_THROTTLE__IP_PER_MINUTE": str(PER_MINUTE),
    }
    crew = Crew(stock.shell.folder, stock.shell.url, **shared)
    try:
        await asyncio.to_thread(crew.until_seen, "worker_ready", 2)
        async with Crowd(crew.port, stock.take(10), 32, "shared") as crowd:
            await crowd.until_answered(300)
        statuses = Counter(answer.status for answer in crowd.answers)
        assert set(statuses) == {200, 429}
        assert PER_MINUTE <= statuses[200] <= PER_MINUTE * 1.3, (
            "what came back while they asked, and no second share"
        )
        await asyncio.to_thread(crew.until, lambda: len(crew.seen("verification")) >= len(crowd.answers))
        assert {line["worker"] for line in crew.seen("verification")} == {1, 2}
        with redis.admin() as admin:
            assert [key.decode() for key in admin.keys("yanzhen:l:*")] == ["yanzhen:l:deliveries"]
        client = Client(crew.port)
        _, page = await client.get("/metrics")
        client.close()
        assert b"yanzhen_redis_up 2.0" in page
    finally:
        assert crew.stop() == 0
        redis.kill()
