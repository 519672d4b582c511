"""An attack spread over processes that share a real Redis: each of them alone is below the threshold."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from app.adapters.bursts import LEAST, Burst
from app.adapters.sealing import AesGcmSealing
from app.adapters.wrong_codes import CloseOnset, UnknownCode, WrongCodeWatch
from app.adapters.wrong_codes_redis import Announcements, RedisWrongCodes
from tests.fakes.clock import FakeClock
from tests.fakes.redis_server import RedisServer, RedisServers
from tests.integration.redis.conftest import Connect
from tests.integration.redis.relay import Fault, after, relay_to

pytestmark = pytest.mark.xdist_group("redis")

ROOT = Path(__file__).parents[3]
KEY = bytes(range(32))
LABEL = "20000000123456789012"


def near(number: int) -> str:
    """A code that differs from the label's in the last three digits of its serial, so on no serial of the others."""
    return LABEL[:8] + f"{900 + number:03}" + LABEL[11:]


def tagged(number: int) -> str:
    """A code on one serial, with a tag and check digits of its own."""
    return "20000000777" + f"{111_111_111 * number:09}"


class Process:
    """A process of its own; ``share`` returns what it announced until then, and what stands on."""

    def __init__(self, url: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(Path(__file__).with_name("watching_process.py")), url]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def answer(self, channel: str, digits: str, ordinal: int | None = None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([channel, digits, ordinal]) + "\n")

    def share(self) -> tuple[list[list[Any]], dict[str, bool]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        said: list[list[Any]] = []
        while (line := json.loads(self._process.stdout.readline()))[0] != "shared":
            said.append(line)
        return said, line[1]

    def end(self) -> int:
        assert self._process.stdin is not None
        with self._process:  # closes what it reads and writes
            self._process.stdin.close()
            return self._process.wait(60)


@pytest.fixture
def two(empty_server: RedisServer) -> Iterator[tuple[Process, Process]]:
    processes = Process(empty_server.url), Process(empty_server.url)
    for one in processes:
        assert one.share() == ([], {}), "from now on each knows of the others"
    yield processes
    assert [one.end() for one in processes] == [0, 0]


def test_wrong_codes_spread_over_two_processes_are_one_burst(two: tuple[Process, Process]) -> None:
    for number in range(LEAST):
        two[number % 2].answer("sms", f"{number:05}", None)
    said = [one.share() for one in (*two, *two)]
    announced = [line for lines, _ in said for line in lines]
    assert announced == [["burst", "sms", LEAST]], "one of them tells, once"
    assert said[3][1] == {"sms": True}
    third = [one.share()[1] for one in two for _ in range(3)]
    assert third[-1] == {"sms": True}, "also where the last of them did not come"


def test_made_up_codes_spread_over_two_processes_are_seen(two: tuple[Process, Process]) -> None:
    two[0].answer("web", LABEL, 1)
    for number in range(5):
        two[number % 2].answer("web", near(number))
        two[number % 2].answer("web", tagged(number + 1))
    said = [line for one in (*two, *two, *two) for line in one.share()[0]]
    assert sorted(said) == [["close", "near_label", "web"], ["close", "wrong_tags", "web"]]


def test_each_below_the_threshold_and_together_too_is_no_alarm(two: tuple[Process, Process]) -> None:
    for number in range(4):
        two[number % 2].answer("web", tagged(number + 1))
    for number in range(LEAST - 5):
        two[number % 2].answer("web", f"{number:05}")
    for _ in range(3):
        assert [one.share() for one in two] == [([], {"web": False})] * 2


def test_nothing_of_a_code_can_be_read_in_redis_and_all_has_an_end(
    two: tuple[Process, Process], empty_server: RedisServer
) -> None:
    two[0].answer("web", LABEL, 1)
    for number in range(6):
        two[0].answer("web", near(number))
        two[0].answer("web", tagged(number + 1))
    two[0].share()
    two[0].share()
    with empty_server.admin() as admin:
        keys = admin.keys("yanzhen:[a-z]:*")
        assert {key[:10] for key in keys} == {b"yanzhen:b:", b"yanzhen:w:", b"yanzhen:n:"}
        for key in keys:
            assert 0 < int(admin.pttl(key)) <= 87_000_000
            shown = b"".join([key, bytes(admin.dump(key) or b"")])
            assert LABEL[:11].encode() not in shown
            assert b"20000000777" not in shown


class Watcher:
    """A process in this one, with a clock of its own and everything that it announced."""

    def __init__(self, connection: Any, clock: FakeClock) -> None:
        self.watch = WrongCodeWatch(clock.monotonic_s())
        self.bursts: list[tuple[str, Burst]] = []
        self.close: list[CloseOnset] = []
        self.clock = clock
        self.sharing = RedisWrongCodes(
            connection,
            self.watch,
            Announcements(burst=lambda *found: self.bursts.append(found), close=self.close.append),
            clock=clock,
            sealing=AesGcmSealing({1: KEY}),
            digest_key=KEY,
        )

    def wrong(self, count: int) -> list[Burst]:
        told = (self.watch.note_wrong("sms", self.clock.monotonic_s()) for _ in range(count))
        return [burst for burst in told if burst is not None]


@pytest.fixture
async def watchers(connect: Connect) -> AsyncIterator[Callable[[str], Any]]:
    async with AsyncExitStack() as open_ones:

        async def one(url: str) -> Watcher:
            watcher = Watcher(await connect(url), FakeClock())
            open_ones.push_async_callback(watcher.sharing.close)
            return watcher

        yield one


async def test_on_a_cluster_as_well(watchers: Any, empty_cluster: RedisServers) -> None:
    here, there = await watchers(empty_cluster.url), await watchers(empty_cluster.url)
    for one in (here, there):
        await one.sharing.share_once()
        assert one.wrong(LEAST // 2) == []
        one.watch.note_unknown(UnknownCode(channel="sms", digits=tagged(1)), one.clock.monotonic_s())
    for number in range(2, 6):
        here.watch.note_unknown(UnknownCode(channel="sms", digits=tagged(number)), here.clock.monotonic_s())
    for one in (here, there, here):
        await one.sharing.share_once()
    assert len(here.bursts + there.bursts) == 1
    assert [found.code.digits for found in here.close + there.close] == [tagged(5)]


async def test_a_day_with_many_is_the_measure_of_a_process_that_just_started(
    watchers: Any, empty_server: RedisServer
) -> None:
    """The past is the service's, so a restart does not call a busy hour a burst."""
    old = await watchers(empty_server.url)
    old.wrong(40)
    await old.sharing.share_once()
    assert len(old.bursts) == 1, "a service without a past"
    age(empty_server, minutes=30)
    new = await watchers(empty_server.url)
    await new.sharing.share_once()
    assert new.wrong(60) == []
    await new.sharing.share_once()
    assert new.bursts == []
    seen = new.watch.look(new.clock.monotonic_s())["sms"]
    # by the server's own minutes, of which another may begin meanwhile
    assert seen in [Burst(recent=60, baseline=40 / windows, on=False) for windows in (2.1, 2.2)]
    age(empty_server, minutes=25 * 60)
    new.wrong(LEAST)
    await new.sharing.share_once()
    assert [found.recent for _, found in new.bursts] == [LEAST], "what is older than a day is forgotten"


def age(server: RedisServer, *, minutes: int) -> None:
    """Make every count so much older."""
    with server.admin() as admin:
        (key,) = admin.keys("yanzhen:b:*")
        began, on, *counts = bytes(admin.get(key)).decode().split()
        pairs = [pair.split(":") for pair in counts]
        older = [f"{int(minute) - minutes}:{count}" for minute, count in pairs]
        admin.set(key, " ".join([str(int(began) - minutes), on, *older]), keepttl=True)


async def test_without_redis_each_process_watches_alone_and_tells_later(
    watchers: Any, empty_server: RedisServer
) -> None:
    async with relay_to(empty_server.port) as relay:
        here = await watchers(f"redis://127.0.0.1:{relay.port}")
        there = await watchers(empty_server.url)
        await here.sharing.share_once()
        await there.sharing.share_once()
        relay.fault = Fault.CUT
        assert here.wrong(LEAST - 10) == []
        await here.sharing.share_once()
        here.clock.advance(6)
        assert [found.recent for found in here.wrong(10)] == [LEAST], "it is alone by now, and says so itself"
        assert here.watch.look(here.clock.monotonic_s())["sms"].on
        relay.fault = Fault.NONE
        async with asyncio.timeout(60):
            while not here.sharing._connection.up:
                await here.sharing.share_once()
                await after(0.05)
        await here.sharing.share_once()
        await there.sharing.share_once()
        there.wrong(1)
        await there.sharing.share_once()
        assert there.watch.look(there.clock.monotonic_s())["sms"].recent > LEAST, "nothing of it was lost"


async def test_what_strangers_write_there_is_left_alone(watchers: Any, empty_server: RedisServer) -> None:
    here = await watchers(empty_server.url)
    await here.sharing.share_once()
    here.wrong(3)
    await here.sharing.share_once()
    here.watch.note_unknown(UnknownCode(channel="sms", digits=tagged(1)), here.clock.monotonic_s())
    await here.sharing.share_once()
    with empty_server.admin() as admin:
        (counts,), (codes,) = admin.keys("yanzhen:b:*"), admin.keys("yanzhen:w:*")
        for junk in ("", "x", "9 9 9", "1 0 1:99999999999999999999 -4:7 999999999999:5", "\x00\xff" * 50):
            admin.set(counts, junk)
            for fields in ({"c": junk or "-"}, {"a": "b", "c": "d"}):
                admin.xadd(codes, fields)
            here.wrong(1)
            await here.sharing.share_once()
            assert here.watch.look(here.clock.monotonic_s())["sms"].recent == 1
        for number in range(2, 6):
            here.watch.note_unknown(
                UnknownCode(channel="sms", digits=tagged(number)), here.clock.monotonic_s()
            )
        await here.sharing.share_once()
        assert len(here.close) == 1
        for key in (counts, codes):
            admin.delete(key)
            admin.lpush(key, "of another kind")
        here.wrong(1)
        await here.sharing.share_once()
        assert here.bursts == []


async def test_the_stream_is_bounded(watchers: Any, empty_server: RedisServer, monkeypatch: Any) -> None:
    monkeypatch.setattr("app.adapters.wrong_codes_redis._KEPT", 50)
    here, late = await watchers(empty_server.url), await watchers(empty_server.url)
    for number in range(1500):
        here.watch.note_unknown(UnknownCode(channel="sms", digits=f"{number:020}"), here.clock.monotonic_s())
    for _ in range(6):
        await here.sharing.share_once()
    with empty_server.admin() as admin:
        (codes,) = admin.keys("yanzhen:w:*")
        assert admin.xlen(codes) == 50
    assert here.watch.take_codes(10) == [], "a thousand wait at most"
    await late.sharing.share_once()
    assert late.sharing._last == here.sharing._last
