"""The shared limits beside those of one process, and what a reader of Redis sees of them."""

from __future__ import annotations

import random

import pytest

from app.adapters.throttle import DEFAULT_LIMITS, MemoryThrottle, with_vouchers
from app.adapters.throttle_redis import RedisThrottle, stricter
from app.core.ports.throttle import ThrottleSubject
from tests.contract.throttle.suite import LIMITS, admitted
from tests.fakes.redis_server import RedisServer, RedisServers
from tests.integration.redis.aging import AgingClock
from tests.integration.redis.conftest import Connect

pytestmark = pytest.mark.xdist_group("redis")

SECRET = b"sixteen bytes it"
NETWORK = "203.0.113.77"
VISITOR = ThrottleSubject("web", b"visitor@203.0.113.77", group=NETWORK)
ADDRESS = ThrottleSubject("address", NETWORK, group=NETWORK)


async def test_both_decide_alike(connect: Connect, empty_server: RedisServer) -> None:
    """Steps of five minutes keep every decision minutes away from where the running time could turn it."""
    clock = AgingClock([empty_server])
    shared = RedisThrottle(await connect(empty_server.url), clock, LIMITS, digest_key=SECRET)
    alone = MemoryThrottle(clock, LIMITS)
    choice = random.Random(20)
    subjects = [ThrottleSubject("web", f"{n}") for n in range(3)] + [ADDRESS, ThrottleSubject("other", "x")]
    outcomes = set()
    for _ in range(400):
        asked = choice.sample(subjects, choice.choice((1, 1, 2, 3)))
        theirs, ours = await shared.admit(asked), await alone.admit(asked)
        assert theirs.allowed == ours.allowed
        assert abs(theirs.retry_after_s - ours.retry_after_s) <= 30
        outcomes.add(ours.allowed)
        if choice.random() < 0.1:
            await shared.note_wrong(asked)
            await alone.note_wrong(asked)
        if choice.random() < 0.02:
            clock.advance(300)
    assert outcomes == {True, False}


async def test_answers_grow_slow_alike(connect: Connect, empty_server: RedisServer) -> None:
    clock = AgingClock([empty_server])
    shared = RedisThrottle(await connect(empty_server.url), clock, digest_key=SECRET)
    alone = MemoryThrottle(clock, DEFAULT_LIMITS)
    delays = [
        ((await shared.admit([VISITOR])).slow_ms, (await alone.admit([VISITOR])).slow_ms) for _ in range(20)
    ]
    assert delays[-1][0] > 400
    assert all(abs(theirs - ours) <= 20 for theirs, ours in delays)


async def test_a_group_is_one_slot_and_no_group_is_the_same_count_everywhere(
    connect: Connect, empty_cluster: RedisServers
) -> None:
    throttle = RedisThrottle(await connect(empty_cluster.url), AgingClock([]), LIMITS, digest_key=SECRET)
    assert await admitted(throttle, VISITOR, ADDRESS, times=3) == 3
    slots = set()
    for server in empty_cluster.servers:
        with server.admin() as admin:
            for key in admin.keys("yanzhen:t:*"):
                slots.add(int(admin.execute_command("CLUSTER KEYSLOT", key)))
    assert len(slots) == 1
    roaming = ThrottleSubject("wechat", b"member")  # asked about with another network each time
    networks = [ThrottleSubject("address", f"{number}", group=f"{number}") for number in range(4)]
    granted = [await admitted(throttle, roaming, network, times=12) for network in networks]
    assert granted == [12, 8, 0, 0]
    assert [await admitted(throttle, network, times=100) for network in networks] == [48, 52, 60, 60]


async def test_work_that_was_redeemed_on_one_machine_is_used_up_on_all(
    connect: Connect, empty_cluster: RedisServers
) -> None:
    limits = with_vouchers(DEFAULT_LIMITS)
    one, other = [
        RedisThrottle(await connect(empty_cluster.url), AgingClock([]), limits, digest_key=SECRET)
        for _ in range(2)
    ]
    passes = [
        ThrottleSubject("pass", "number", group=NETWORK),
        ThrottleSubject("proved", NETWORK, group=NETWORK),
    ]
    solution = [ThrottleSubject("proof", "number", group=NETWORK), *passes]
    assert await admitted(one, *solution, times=1) == 1
    assert await admitted(other, *solution, times=3) == 0
    assert await admitted(one, *solution, times=3) == 0
    assert (
        await admitted(other, *passes, times=9) == 4
    )  # five queries in all, the first by the solution itself


async def test_nothing_in_redis_names_a_caller_and_everything_ends(
    connect: Connect, empty_server: RedisServer
) -> None:
    throttle = RedisThrottle(await connect(empty_server.url), AgingClock([]), LIMITS, digest_key=SECRET)
    await admitted(throttle, VISITOR, ADDRESS, times=3)
    await throttle.note_wrong([VISITOR, ADDRESS])
    with empty_server.admin() as admin:
        keys = admin.keys("*")
        assert len([key for key in keys if key.startswith(b"yanzhen:t:")]) == 2
        assert not any(b"203" in key or b"visitor" in key for key in keys)
        assert all(0 < admin.pttl(key) <= 3_600_001 for key in keys)


async def test_another_key_counts_for_itself(connect: Connect, empty_server: RedisServer) -> None:
    connection = await connect(empty_server.url)
    one = RedisThrottle(connection, AgingClock([]), LIMITS, digest_key=SECRET)
    other = RedisThrottle(connection, AgingClock([]), LIMITS, digest_key=SECRET[::-1])
    assert await admitted(one, VISITOR, times=25) == 20
    assert await admitted(other, VISITOR, times=25) == 20


async def test_a_script_that_the_server_forgot_is_sent_again(
    connect: Connect, empty_server: RedisServer
) -> None:
    connection = await connect(empty_server.url)
    throttle = RedisThrottle(connection, AgingClock([]), LIMITS, digest_key=SECRET)
    assert await admitted(throttle, VISITOR, times=5) == 5
    with empty_server.admin() as admin:
        admin.script_flush()
    assert await admitted(throttle, VISITOR, times=20) == 15
    assert connection.tallies.admitted_locally == 0


async def test_a_share_and_a_key_of_no_use_are_refused(connect: Connect, empty_server: RedisServer) -> None:
    connection = await connect(empty_server.url)
    for key, share in ((b"short", 0.5), (SECRET, 0.0), (SECRET, 1.5)):
        with pytest.raises(ValueError, match="digest key"):
            RedisThrottle(connection, AgingClock([]), digest_key=key, local_share=share)
    one_each = stricter(stricter(LIMITS["web"], 0.01), 0.5)
    assert (one_each.queries, one_each.wrong, one_each.window_s) == (1, 1, 3600)
