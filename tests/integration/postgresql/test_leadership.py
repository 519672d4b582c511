"""Who leads, by the record: the suite on a real server, and what happens when sessions, processes or servers end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from app.adapters.clock import SystemClock
from app.adapters.storage.postgresql.connections import find_primary
from app.adapters.storage.postgresql.leadership import PostgresqlLeadership
from app.adapters.storage.postgresql.succession import Succession
from app.core.ports.clock import Clock
from tests.contract.leadership.suite import LeadershipContract
from tests.fakes.clock import FakeClock
from tests.fakes.postgres_pair import PostgresPair, freeze
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.idling import IdlingClock
from tests.integration.postgresql.prepared import Prepared

LEASE_S = 60.0
SOON_S = 60.0  # longer than any wait of ours, and shorter than for ever
_END = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'yanzhen duties'"
)


async def member(url: str, clock: Clock, *, lease_s: float = LEASE_S) -> PostgresqlLeadership:
    connection, server = await find_primary(url)
    connection.terminate()
    return PostgresqlLeadership(Succession(url, server, find_primary), clock, lease_s=lease_s)


async def until_it_leads(leadership: PostgresqlLeadership) -> float:
    """Ask again and again, and return how long it took; fails after :data:`SOON_S`."""
    began = time.monotonic()
    async with asyncio.timeout(SOON_S):
        while not await leadership.hold("listener"):
            pass
    return time.monotonic() - began


class TestPostgresqlLeadership(LeadershipContract):
    @pytest.fixture
    def clock(self, plain: Prepared) -> IdlingClock:
        return IdlingClock(plain.socket_url, LEASE_S)

    @pytest.fixture
    async def first(self, plain: Prepared, clock: IdlingClock) -> AsyncIterator[PostgresqlLeadership]:
        made = await member(plain.url, clock)
        yield made
        await made.close()

    @pytest.fixture
    async def second(self, plain: Prepared, clock: IdlingClock) -> AsyncIterator[PostgresqlLeadership]:
        made = await member(plain.url, clock)
        yield made
        await made.close()


@pytest.fixture
async def operator(plain: Prepared) -> AsyncIterator[Any]:
    connection: Any = await asyncpg.connect(plain.socket_url)
    yield connection
    await connection.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_the_server_ends_a_session_that_fell_silent(plain: Prepared) -> None:
    first = await member(plain.url, SystemClock(), lease_s=1.0)
    second = await member(
        plain.url, SystemClock()
    )  # whose session does not end while this test is kept waiting
    assert await first.hold("listener")
    await until_it_leads(second)
    assert not first.leads("listener")
    assert not await first.hold("listener")
    await first.close()
    await second.close()


async def test_a_process_that_ends_is_followed_at_once(plain: Prepared) -> None:
    first = await member(plain.url, FakeClock())
    second = await member(plain.url, FakeClock())
    assert await first.hold("listener")
    assert not await second.hold("listener")
    await first.close()
    assert not await first.hold("listener")
    assert await until_it_leads(second) < LEASE_S
    await second.close()


async def test_a_lost_session_is_made_anew_and_leads_again(plain: Prepared, operator: Any) -> None:
    leadership = await member(plain.url, FakeClock())
    assert await leadership.hold("listener")
    await operator.fetch(_END)
    assert leadership.leads("listener"), "until its lease would have ended"
    await until_it_leads(leadership)
    other = await member(plain.url, FakeClock())
    assert not await other.hold("listener")
    await leadership.close()
    await other.close()


async def test_who_lost_its_session_to_another_gives_way(plain: Prepared, operator: Any) -> None:
    first = await member(plain.url, FakeClock())
    second = await member(plain.url, FakeClock())
    assert await first.hold("listener")
    await operator.fetch(_END)
    await until_it_leads(second)
    async with asyncio.timeout(SOON_S):
        while await first.hold("listener"):
            pass
    assert not first.leads("listener")
    assert second.leads("listener")
    await first.close()
    await second.close()


async def test_a_leader_leads_on_until_its_lease_would_have_ended(own_server: PostgresServer) -> None:
    clock = FakeClock()
    first, second = await member(own_server.url(), clock), await member(own_server.url(), clock)
    assert await first.hold("listener")
    own_server.stop()
    clock.advance(LEASE_S * 0.85)
    assert await first.hold("listener")
    assert not await second.hold("listener")
    clock.advance(LEASE_S * 0.1)
    assert not await first.hold("listener")
    assert not await second.hold("listener")
    await first.resign("listener")
    own_server.start()
    await until_it_leads(second)
    await first.close()
    await second.close()


async def test_a_silent_server_holds_nobody_up(own_server: PostgresServer, plain: Prepared) -> None:
    leadership = await member(own_server.url(), FakeClock())
    assert await leadership.hold("listener")
    connection: Any = await asyncpg.connect(own_server.socket_url())
    pid = await connection.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'yanzhen duties'"
    )
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(SOON_S):
            assert await leadership.hold("listener")
            await leadership.resign("listener")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert not leadership.leads("listener")
    await connection.close()
    await leadership.close()


async def test_its_sessions_end_with_a_lease(plain: Prepared, operator: Any) -> None:
    leadership = await member(plain.url, FakeClock(), lease_s=7.5)
    await leadership.hold("listener")
    assert leadership.renew_s == 2.5
    assert leadership._connection is not None
    assert await leadership._connection.fetchval("SHOW idle_session_timeout") == "7500ms"
    await leadership.close()
    with pytest.raises(ValueError, match="above 0"):
        PostgresqlLeadership(leadership._succession, FakeClock(), lease_s=0)


async def ask_on(leadership: PostgresqlLeadership) -> None:
    while True:
        await leadership.hold("listener")


async def test_a_silent_primary_is_followed_and_nobody_leads_beside_another_longer_than_a_lease() -> None:
    """Its session says nothing any more, and the standby that takes its place knows none of its locks."""
    lease_s, pair, clock = 3.0, PostgresPair(), SystemClock()
    try:
        await pair.start()
        members = [await member(pair.url(), clock, lease_s=lease_s) for _ in range(2)]
        assert [await one.hold("listener") for one in members] == [True, False]
        freeze(pair.primary)
        asking = [asyncio.create_task(ask_on(one)) for one in members]
        promoting = asyncio.create_task(asyncio.to_thread(pair.standby.promote))
        together_s = alone_s = 0.0
        before_s = clock.monotonic_s()
        async with asyncio.timeout(100):
            while alone_s < 2 * lease_s:
                await asyncio.wait(asking, timeout=0.02)
                now_s, leading = clock.monotonic_s(), sum(one.leads("listener") for one in members)
                together_s += (now_s - before_s) * (leading == 2)
                alone_s = alone_s + now_s - before_s if promoting.done() and leading == 1 else 0.0
                before_s = now_s
        assert together_s <= lease_s
        for one in asking:
            one.cancel()
        await asyncio.wait((*asking, promoting))
        for leadership in members:
            await leadership.close()
    finally:
        pair.remove()
