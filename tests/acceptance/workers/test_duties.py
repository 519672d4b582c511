"""What runs once: begun by who leads, let go by who leads no more, begun again where it failed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.adapters.leadership import LoneLeadership
from app.bootstrap.duties import Duty, stop_all, take_up
from tests.fakes.recording_journal import RecordingJournal


class NamedLeadership:
    """Leads while ``named``."""

    renew_s = 0.01

    def __init__(self, *, named: bool = True) -> None:
        self.named = named
        self.resigned: list[str] = []

    async def hold(self, role: str) -> bool:
        return self.named

    def leads(self, role: str) -> bool:
        return self.named

    async def resign(self, role: str) -> None:
        self.resigned.append(role)


class Work:
    """Tells when it runs, until it is cancelled."""

    def __init__(self) -> None:
        self.runs = asyncio.Event()
        self.ended = asyncio.Event()
        self.ended.set()
        self.begun = 0

    async def __call__(self) -> None:
        self.begun += 1
        self.ended.clear()
        self.runs.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.runs.clear()
            self.ended.set()


@asynccontextmanager
async def at_work(
    leadership: NamedLeadership, *works: Callable[[], Awaitable[None]]
) -> AsyncIterator[RecordingJournal]:
    journal = RecordingJournal()
    tasks = take_up([Duty(role="deliveries", leadership=leadership, works=works)], journal)
    try:
        async with asyncio.timeout(10):
            yield journal
    finally:
        await stop_all(tasks)


async def test_all_works_run_while_this_process_leads() -> None:
    leadership, one, two = NamedLeadership(named=False), Work(), Work()
    async with at_work(leadership, one, two):
        await asyncio.sleep(0)
        assert one.begun == two.begun == 0
        leadership.named = True
        await one.runs.wait()
        await two.runs.wait()
        leadership.named = False
        await one.ended.wait()
        await two.ended.wait()
        leadership.named = True
        await one.runs.wait()
    assert one.ended.is_set()
    assert two.ended.is_set()
    assert one.begun == two.begun == 2
    assert leadership.resigned == ["deliveries"]


async def test_a_work_that_fails_is_told_and_leaves_the_others_alone() -> None:
    failed = asyncio.Event()

    async def fail() -> None:
        failed.set()
        raise OSError("planted")

    other = Work()
    async with at_work(NamedLeadership(), fail, other) as journal:
        await failed.wait()
        await other.runs.wait()
        assert "deliveries_failed" in str(journal.failures)


async def test_a_duty_without_work_asks_nobody() -> None:
    duty = Duty(role="switches", leadership=LoneLeadership(), works=())
    assert take_up([duty], RecordingJournal()) == []
