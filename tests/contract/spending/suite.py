"""What every table of spending must do for processes that share it. Bind it by a subclass with a fixture ``table``."""

from __future__ import annotations

import asyncio

from app.adapters.spending import DailySpending, SpendingTable
from app.core.ports.spending import Spend
from tests.fakes.clock import FakeClock

ONE, TWO = b"caller-number-01", b"caller-number-02"
CAP, CALLER_CAP = 20, 6


def process() -> DailySpending:
    """Return the counts of one process that knows nothing of the others."""
    return DailySpending(FakeClock(), "Asia/Shanghai", caps={"sms": CAP}, per_caller_caps={"sms": CALLER_CAP})


def spend_all(spending: DailySpending, caller: bytes, *, most: int) -> int:
    """Spend for ``caller`` until it is refused, ``most`` times at most; return how often it was not."""
    tries = (spending.spend("sms", caller) is Spend.ALLOWED for _ in range(most))
    return sum(1 for allowed in tries if allowed)


class SpendingTableContract:
    async def test_two_processes_share_the_cap_of_a_caller(self, table: SpendingTable) -> None:
        here, there = process(), process()
        assert spend_all(here, ONE, most=3) == 3
        assert spend_all(there, ONE, most=2) == 2
        for one in (here, there, here):
            await one.flush(table)
            one.spend("sms", b"")  # so that the last one writes again and learns of the other
        await here.flush(table)
        assert spend_all(there, ONE, most=10) == 1
        assert there.spend("sms", ONE) is Spend.CALLER_CAP

    async def test_two_processes_overshoot_a_day_by_one_interval_at_most(self, table: SpendingTable) -> None:
        processes, spent, rate = [process(), process()], 0, 3
        for _ in range(2 * CAP):
            for one in processes:
                spent += spend_all(one, b"", most=rate)
            for one in processes:
                await one.flush(table)
        assert CAP <= spent <= CAP + rate * len(processes)
        totals = await table.load("2026-03-05")
        assert totals["sms", b""] == spent

    async def test_writes_at_once_lose_nothing(self, table: SpendingTable) -> None:
        processes = [process() for _ in range(8)]
        for one in processes:
            assert spend_all(one, TWO, most=2) == 2
        await asyncio.gather(*(one.flush(table) for one in processes))
        totals = await table.load("2026-03-05")
        assert totals == {("sms", TWO): 16, ("sms", b""): 16}

    async def test_a_process_that_starts_later_knows_what_all_spent(self, table: SpendingTable) -> None:
        for caller in (ONE, TWO):
            one = process()
            spend_all(one, caller, most=6)
            await one.flush(table)
        late = process()
        await late.load(table)
        assert late.spend("sms", ONE) is Spend.CALLER_CAP
        assert spend_all(late, b"", most=20) == CAP - 12

    async def test_days_are_apart(self, table: SpendingTable) -> None:
        await table.add("2026-03-04", [("sms", b"", CAP)])
        assert await table.load("2026-03-05") == {}
        assert await table.add("2026-03-05", [("sms", b"", 1)]) == {("sms", b""): 1}
