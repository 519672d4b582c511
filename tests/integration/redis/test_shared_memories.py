"""What channels keep in the cache, seen by two machines: the duplicate window, and the credentials of WeChat's API."""

from __future__ import annotations

import asyncio

import pytest

from app.adapters.cache.redis import RedisCache
from app.core.model.verdict import Detail, Outcome, Verdict
from channels.wechat.platform.credentials import Credential, SharedCredential
from channels.window import DuplicateWindow
from tests.fakes.clock import FakeClock
from tests.fakes.redis_server import RedisServer
from tests.integration.redis.conftest import Connect
from tests.integration.redis.relay import Fault, relay_to

pytestmark = pytest.mark.xdist_group("redis")


async def test_a_message_delivered_to_another_machine_gets_the_same_answer(
    connect: Connect, empty_server: RedisServer
) -> None:
    here = DuplicateWindow(RedisCache(await connect(empty_server.url), budget_s=10))
    there = DuplicateWindow(RedisCache(await connect(empty_server.url), budget_s=10))
    slip = Verdict(outcome=Outcome.MISTYPED, reasons=(Detail.SLIP_LOCATED,), slip_positions=(7,))
    assert await there.find([b"m" * 16]) is None
    await here.note([b"m" * 16], slip)
    assert await there.find([b"n" * 16, b"m" * 16]) == slip


async def test_one_machine_fetches_a_credential_and_all_use_it(
    connect: Connect, empty_server: RedisServer
) -> None:
    fetched: list[str] = []

    async def fetch() -> Credential:
        fetched.append(f"secret {len(fetched)}")
        return Credential(secret=fetched[-1], expires_in_s=7200)

    machines = [
        SharedCredential(
            "wechat/token",
            cache=RedisCache(await connect(empty_server.url), budget_s=10),
            clock=FakeClock(),
            fetch=fetch,
        )
        for _ in range(3)
    ]
    try:
        async with asyncio.timeout(30):
            assert await asyncio.gather(*(one.get(within_s=20) for one in machines)) == ["secret 0"] * 3
            assert await machines[0].get(within_s=20, refused="secret 0") == "secret 1"
            assert await machines[2].get(within_s=20) == "secret 1"
    finally:
        for machine in machines:
            await machine.close()
    assert len(fetched) == 2


async def test_a_machine_without_redis_keeps_its_own_credential(
    connect: Connect, empty_server: RedisServer
) -> None:
    fetched: list[str] = []

    async def fetch() -> Credential:
        fetched.append("secret")
        return Credential(secret="secret", expires_in_s=7200)

    async with relay_to(empty_server.port) as relay:
        cache = RedisCache(await connect(f"redis://127.0.0.1:{relay.port}"))
        relay.fault = Fault.HOLE
        credential = SharedCredential("wechat/token", cache=cache, clock=FakeClock(), fetch=fetch)
        try:
            assert await credential.get(within_s=10) == "secret"
            assert await credential.get(within_s=10) == "secret"
        finally:
            relay.fault = Fault.CUT
            await credential.close()
    assert fetched == ["secret"]
