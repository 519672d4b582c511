"""Redis down, killed, silent, slow, flapping: nothing is raised or opened, little is waited for, and it comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.adapters.cache.addresses import RedisAddress
from app.adapters.cache.connection import RedisConnection, RedisPatience
from app.adapters.cache.metrics import RedisCollector
from app.adapters.cache.redis import RedisCache
from app.adapters.leadership_redis import RedisLeadership
from app.adapters.sealing import AesGcmSealing
from app.adapters.throttle_redis import RedisThrottle
from app.adapters.wrong_codes import UnknownCode, WrongCodeWatch
from app.adapters.wrong_codes_redis import Announcements, RedisWrongCodes
from app.core.ports.throttle import ThrottleSubject
from tests.contract.throttle.suite import LIMITS, VISITOR, admitted
from tests.fakes.clock import FakeClock
from tests.fakes.recording_log import RecordingLog
from tests.fakes.redis_server import RedisServer, RedisServers, start_watched, wait_until_cluster_is_whole
from tests.integration.redis.conftest import PATIENT, Connect
from tests.integration.redis.load import ON_THE_WAY, Load
from tests.integration.redis.relay import Fault, Relay, after, relay_to
from tests.run_delay import run_delay_s

pytestmark = pytest.mark.xdist_group("redis")

SLACK = 3  # for a machine that everything here shares
P99_S = 0.25
BACK_S = 2.0
IMPATIENT = RedisPatience()  # the product's own: for what is about time
STEADY = RedisPatience(answer_s=1, slow_s=1, slow_for_s=10, connect_s=5)
SHARED, ALONE = 20, 10  # what LIMITS grants a visitor, and what a process grants alone


async def becomes(connection: RedisConnection, *, up: bool, within_s: float = BACK_S) -> None:
    """Wait for it; fails where it took longer than ``within_s``, the time aside for which nobody was let run."""
    loop = asyncio.get_running_loop()
    began, delayed = loop.time(), run_delay_s()
    async with asyncio.timeout(60):
        while connection.up is not up:
            if not up:
                await RedisCache(connection).find("anything")
            await after(0.01)
    assert loop.time() - began - ON_THE_WAY * (run_delay_s() - delayed) <= within_s * SLACK


def throttle_on(connection: RedisConnection) -> RedisThrottle:
    return RedisThrottle(connection, FakeClock(), LIMITS, digest_key=b"k" * 16)


async def test_down_at_the_start_the_limits_are_stricter_and_never_open(
    connect: Connect, empty_server: RedisServer, tmp_path: Path
) -> None:
    absent = RedisServer(tmp_path / "later")
    connection = await connect(absent.url, STEADY)
    assert not connection.up
    throttle, cache = throttle_on(connection), RedisCache(connection, budget_s=10)
    assert await admitted(throttle, VISITOR, times=100) == ALONE
    await cache.put("key", b"value", ttl_s=10)
    assert await cache.find("key") is None
    assert await cache.claim("key", ttl_s=10)
    await cache.drop("key")
    tallies = connection.tallies
    assert (tallies.admitted_locally, tallies.refused_locally) == (ALONE, 90)
    assert tallies.without >= 3
    registry = CollectorRegistry()
    registry.register(RedisCollector(connection))
    shown = generate_latest(registry).decode()
    assert "yanzhen_redis_up 0.0" in shown
    assert f"yanzhen_redis_local_admissions_total {ALONE}.0" in shown
    absent.start()
    try:
        await becomes(connection, up=True)
        await cache.put("key", b"value", ttl_s=10)
        assert await cache.find("key") == b"value"
    finally:
        absent.kill()


async def test_wrong_codes_seen_while_it_is_away_and_before_limit_alone_as_well(
    connect: Connect, empty_server: RedisServer
) -> None:
    async with relay_to(empty_server.port) as relay:
        connection = await connect(f"redis://127.0.0.1:{relay.port}", STEADY)
        throttle = throttle_on(connection)
        for _ in range(2):
            await throttle.note_wrong([VISITOR])
        assert (await throttle.admit([VISITOR])).allowed  # five wrong codes an hour
        relay.fault = Fault.CUT
        await becomes(connection, up=False)
        assert not (await throttle.admit([VISITOR])).allowed  # alone, two


async def test_what_was_granted_and_seen_alone_is_owed_when_it_is_back(
    connect: Connect, empty_server: RedisServer
) -> None:
    roaming = ThrottleSubject("web", b"another")
    async with relay_to(empty_server.port) as relay:
        connection = await connect(f"redis://127.0.0.1:{relay.port}", STEADY)
        throttle, elsewhere = throttle_on(connection), throttle_on(await connect(empty_server.url))
        relay.fault = Fault.CUT
        await becomes(connection, up=False)
        assert await admitted(throttle, VISITOR, times=6) == 6
        for _ in range(3):
            await throttle.note_wrong([roaming])
        relay.fault = Fault.NONE
        await becomes(connection, up=True)
        assert (await throttle.admit([VISITOR])).allowed
        assert await admitted(elsewhere, VISITOR, times=25) == SHARED - 7
        for _ in range(2):
            await throttle.note_wrong([roaming])
        assert not (await elsewhere.admit([roaming])).allowed  # five wrong codes, three of them seen alone


async def test_killed_and_restarted_under_load(connect: Connect, tmp_path: Path, log: RecordingLog) -> None:
    server = RedisServer(tmp_path / "mortal").start()
    try:
        load = Load(await connect(server.url, RedisPatience(settled_s=0.1)))
        await load.run(0.5)
        server.kill()
        await load.run(0.7)
        assert not load.connection.up
        server.start()
        await becomes(load.connection, up=True)
        await load.run(0.3)
    finally:
        server.kill()
    assert load.p99_s <= P99_S * SLACK
    # it came back without its memory: a whole new allowance, and never more than that
    assert load.most_admitted <= 2 * SHARED
    assert "redis_lost" in log.events
    assert "redis_back" in log.events


@pytest.mark.parametrize("fault", [Fault.HOLE, Fault.SLOW, Fault.CUT])
async def test_silent_slow_or_cut_under_load(
    connect: Connect, empty_server: RedisServer, fault: Fault
) -> None:
    async with relay_to(empty_server.port) as relay:
        load = Load(await connect(f"redis://127.0.0.1:{relay.port}", IMPATIENT))
        await load.run(0.3)
        relay.fault = fault
        await load.run(1.2)
        assert not load.connection.up
        relay.fault = Fault.NONE
        await becomes(load.connection, up=True)
        await load.run(0.3)
    assert load.p99_s <= P99_S * SLACK
    assert max(load.took_s) <= P99_S * SLACK
    assert load.most_admitted <= SHARED


async def test_a_little_slow_each_time_is_away_as_well(connect: Connect, empty_server: RedisServer) -> None:
    async with relay_to(empty_server.port) as relay:
        connection = await connect(f"redis://127.0.0.1:{relay.port}", IMPATIENT)
        relay.delay_s = 0.1
        relay.fault = Fault.SLOW
        await becomes(connection, up=False)
        relay.fault = Fault.NONE
        await becomes(connection, up=True)


@pytest.mark.parametrize("delay_s", [0.018, 0.045, 0.1])
async def test_always_a_little_slow_under_whole_messages(
    connect: Connect, empty_server: RedisServer, delay_s: float
) -> None:
    """Each call may wait for another's exchange: what one of them costs must fit as often as a message asks."""
    async with relay_to(empty_server.port) as relay:
        load = Load(await connect(f"redis://127.0.0.1:{relay.port}", IMPATIENT), messages=True)
        await load.run(0.3)
        relay.delay_s, relay.fault = delay_s, Fault.SLOW
        await load.run(1.5)
        if delay_s > IMPATIENT.slow_s:
            assert load.connection.tallies.losses > 0
        relay.fault = Fault.NONE
        await becomes(load.connection, up=True)
    assert load.p99_s <= P99_S * SLACK
    assert load.most_admitted <= SHARED


async def test_flapping_every_tenth_of_a_second(connect: Connect, empty_server: RedisServer) -> None:
    async def flap(relay: Relay) -> None:
        for turn in range(16):
            relay.fault = (Fault.CUT, Fault.NONE, Fault.HOLE, Fault.NONE)[turn % 4]
            await after(0.1)

    async with relay_to(empty_server.port) as relay:
        load = Load(await connect(f"redis://127.0.0.1:{relay.port}", IMPATIENT))
        async with asyncio.TaskGroup() as group:
            group.create_task(flap(relay))
            group.create_task(load.run(1.7))
        await becomes(load.connection, up=True)
        await load.run(0.3)
    assert load.connection.tallies.losses >= 1
    assert load.p99_s <= P99_S * SLACK
    assert load.most_admitted <= SHARED  # what it granted alone is owed


async def test_refusing_to_write_is_being_away(connect: Connect, empty_server: RedisServer) -> None:
    connection = await connect(empty_server.url, STEADY)
    throttle = throttle_on(connection)
    with empty_server.admin() as admin:
        admin.config_set("maxmemory", "1")
        try:
            assert await admitted(throttle, VISITOR, times=100) == ALONE
            assert not connection.up
        finally:
            admin.config_set("maxmemory", "0")
    await becomes(connection, up=True)


async def test_a_leader_leads_on_until_its_lease_would_have_ended(
    connect: Connect, empty_server: RedisServer
) -> None:
    async with relay_to(empty_server.port) as relay:
        clock = FakeClock()
        first = RedisLeadership(await connect(f"redis://127.0.0.1:{relay.port}", STEADY), clock, lease_s=30)
        second = RedisLeadership(await connect(f"redis://127.0.0.1:{relay.port}", STEADY), clock, lease_s=30)
        assert await first.hold("listener")
        relay.fault = Fault.HOLE
        clock.advance(26)
        assert await first.hold("listener")
        assert not await second.hold("listener")
        clock.advance(1)
        assert not await first.hold("listener")
        await first.resign("listener")


async def test_passwords_reach_no_log(connect: Connect, tmp_path: Path, log: RecordingLog) -> None:
    server = RedisServer(tmp_path / "locked", ("--requirepass", "s3cret-right")).start()
    try:
        wrong = await connect(f"redis://:s3cret-wrong@127.0.0.1:{server.port}/0", PATIENT)
        right = await connect(f"redis://:s3cret-right@127.0.0.1:{server.port}/0", PATIENT)
        assert (wrong.up, right.up) == (False, True)
    finally:
        server.kill()
    assert log.events == ["redis_lost"]
    assert "s3cret" not in repr(log.lines)


async def test_a_sentinel_names_the_new_master(connect: Connect, tmp_path: Path) -> None:
    watched = start_watched(tmp_path)
    try:
        connection = await connect(watched.url, STEADY)
        cache, throttle = RedisCache(connection, budget_s=10), throttle_on(connection)
        await cache.put("key", b"one", ttl_s=60)
        assert await cache.find("key") == b"one"
        watched.servers[0].kill()
        await becomes(connection, up=False)
        assert (await throttle.admit([VISITOR])).allowed
        await becomes(connection, up=True, within_s=30)
        await cache.put("key", b"two", ttl_s=60)
        assert await cache.find("key") == b"two"
        with watched.servers[1].admin() as admin:
            assert admin.get("yanzhen:c:key") == b"two"
    finally:
        watched.kill()


async def test_a_cluster_that_lost_a_node_is_away_until_it_is_whole(
    connect: Connect, empty_cluster: RedisServers
) -> None:
    connection = await connect(empty_cluster.url, STEADY)
    throttle, cache = throttle_on(connection), RedisCache(connection, budget_s=10)
    for number in range(30):
        await cache.put(f"key {number}", b"value", ttl_s=60)
    assert [await cache.find(f"key {number}") for number in range(30)] == [b"value"] * 30
    lost = empty_cluster.servers[2]
    lost.kill()
    try:
        async with asyncio.timeout(60):
            while connection.up:
                for number in range(30):
                    await cache.find(f"key {number}")
        assert await admitted(throttle, VISITOR, times=100) == ALONE
    finally:
        lost.start()
        await asyncio.to_thread(wait_until_cluster_is_whole, empty_cluster)
    await becomes(connection, up=True, within_s=30)
    assert await admitted(throttle, VISITOR, times=100) == SHARED - ALONE


async def share_one_wrong_code(connection: RedisConnection) -> None:
    watch, clock = WrongCodeWatch(0.0), FakeClock()
    nobody = Announcements(burst=lambda *_: None, close=lambda _: None)
    key = bytes(32)
    sharing = RedisWrongCodes(
        connection, watch, nobody, clock=clock, sealing=AesGcmSealing({1: key}), digest_key=key
    )
    watch.note_wrong("web", clock.monotonic_s())
    watch.note_unknown(UnknownCode(channel="web", digits="20000000123456789012"), clock.monotonic_s())
    await sharing.share_once()
    assert watch.look(clock.monotonic_s())["web"].recent == 1


async def test_a_user_with_few_rights_is_enough(connect: Connect, empty_server: RedisServer) -> None:
    rights = (
        "~yanzhen:* +get +set +del +xadd +xrange +pexpire +evalsha +eval +time +ping +hello +client +select"
    )
    with empty_server.admin() as admin:
        admin.execute_command("ACL", "SETUSER", "verifier", "on", ">s3cret", *rights.split())
        try:
            connection = await connect(f"redis://verifier:s3cret@127.0.0.1:{empty_server.port}/0")
            cache, leadership = RedisCache(connection, budget_s=10), RedisLeadership(connection, FakeClock())
            assert connection.up
            assert await admitted(throttle_on(connection), VISITOR, times=25) == SHARED
            assert await cache.claim("key", ttl_s=10)
            await cache.drop("key")
            assert await leadership.hold("listener")
            await leadership.resign("listener")
            await share_one_wrong_code(connection)
            assert (connection.up, connection.tallies.without) == (True, 0)
        finally:
            admin.execute_command("ACL", "DELUSER", "verifier")


async def test_keys_that_moved_to_another_node_are_found_there(
    connect: Connect, empty_cluster: RedisServers
) -> None:
    connection = await connect(empty_cluster.url, PATIENT)
    cache = RedisCache(connection, budget_s=10)
    await cache.put("{moving}", b"value", ttl_s=60)
    nodes = empty_cluster.servers
    with nodes[0].admin() as a, nodes[1].admin() as b, nodes[2].admin() as c:
        slot = int(a.execute_command("CLUSTER KEYSLOT", "{moving}"))
        ids = [str(one.execute_command("CLUSTER MYID"), "ascii") for one in (a, b, c)]
        owner = slot * 3 // 16384
        target = (owner + 1) % 3
        clients = (a, b, c)

        def give(source: int, to: int) -> None:
            clients[to].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
            clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[to])
            clients[source].execute_command(
                "MIGRATE", "127.0.0.1", nodes[to].port, "", 0, 5000, "KEYS", "yanzhen:c:{moving}"
            )
            for client in clients:
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[to])

        give(owner, target)
        try:
            assert await cache.find("{moving}") == b"value"
            assert connection.up
        finally:
            give(target, owner)


async def test_many_machines_share_one_allowance(connect: Connect, empty_server: RedisServer) -> None:
    machines = [throttle_on(await connect(empty_server.url)) for _ in range(4)]
    answers = await asyncio.gather(*(machines[turn % 4].admit([VISITOR]) for turn in range(200)))
    assert sum(answer.allowed for answer in answers) == SHARED


async def test_what_waits_shares_a_round_trip_and_the_queue_has_an_end(empty_server: RedisServer) -> None:
    log = RecordingLog()
    connection = RedisConnection(RedisAddress.parse(empty_server.url), log, patience=PATIENT, queue=300)
    await connection.start()
    try:
        cache = RedisCache(connection, budget_s=10)
        answers = await asyncio.gather(*(cache.claim(f"key {n}", ttl_s=60) for n in range(400)))
        assert all(answers)
        assert connection.tallies.without == 100  # past the end of the queue: as if it were away
        assert connection.up
    finally:
        await connection.aclose()
    assert not connection.up
    assert await cache.find("key 1") is None
    assert log.lines == []
