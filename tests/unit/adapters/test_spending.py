from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.spending import DailySpending
from app.adapters.storage.sqlite import open_sqlite, upgrade_sqlite
from app.core.errors import StoreUnavailable
from app.core.ports.spending import Spend
from tests.fakes.clock import FakeClock

ONE, TWO = b"caller-number-01", b"caller-number-02"
NEARLY_MIDNIGHT = datetime(2026, 3, 5, 15, 59, 50, tzinfo=UTC)  # 23:59:50 in Shanghai


class FakeTable:
    def __init__(self) -> None:
        self.down = False
        self.days: dict[str, dict[tuple[str, bytes], int]] = {}
        self.writes = 0

    async def load(self, day: str) -> Mapping[tuple[str, bytes], int]:
        return dict(self.days.get(day, {}))

    async def add(self, day: str, units: Iterable[tuple[str, bytes, int]]) -> Mapping[tuple[str, bytes], int]:
        if self.down:
            raise StoreUnavailable
        self.writes += 1
        totals = self.days.setdefault(day, {})
        added = {(kind, caller): totals.get((kind, caller), 0) + number for kind, caller, number in units}
        totals.update(added)
        return added


def spending(clock: FakeClock, *, day: int = 10, each: int = 3, callers: int = 1000) -> DailySpending:
    return DailySpending(
        clock, "Asia/Shanghai", caps={"sms": day}, per_caller_caps={"sms": each}, callers=callers
    )


def test_a_refusal_counts_against_nobody() -> None:
    spent = spending(FakeClock(), day=5)
    assert spent.spend("sms", ONE, 2) is Spend.ALLOWED
    assert spent.spend("sms", ONE, 2) is Spend.CALLER_CAP
    assert spent.spend("sms", ONE) is Spend.ALLOWED
    assert spent.spend("sms", ONE) is Spend.CALLER_CAP
    assert spent.spend("sms", TWO, 3) is Spend.DAY_CAP
    assert spent.spend("sms", TWO, 2) is Spend.ALLOWED
    assert spent.spend("sms", TWO) is Spend.DAY_CAP
    assert spent.spend("sms", b"") is Spend.DAY_CAP


def test_nobody_in_particular_and_other_kinds_have_no_cap_of_a_caller() -> None:
    spent = spending(FakeClock(), day=20)
    assert {spent.spend("sms", b"") for _ in range(20)} == {Spend.ALLOWED}
    assert spent.spend("sms", b"") is Spend.DAY_CAP
    assert {spent.spend("call", ONE, 100) for _ in range(20)} == {Spend.ALLOWED}


def test_a_day_is_a_day_of_the_display_zone() -> None:
    clock = FakeClock(NEARLY_MIDNIGHT)
    spent = spending(clock)
    assert spent.spend("sms", ONE, 3) is Spend.ALLOWED
    clock.advance(9)
    assert spent.spend("sms", ONE) is Spend.CALLER_CAP
    clock.advance(1)
    assert spent.spend("sms", ONE, 3) is Spend.ALLOWED
    clock.advance(86_399)
    assert spent.spend("sms", ONE) is Spend.CALLER_CAP
    clock.advance(1)
    assert spent.spend("sms", ONE) is Spend.ALLOWED


def test_a_clock_set_back_over_midnight_gives_no_second_day() -> None:
    clock = FakeClock(NEARLY_MIDNIGHT)
    spent = spending(clock)
    clock.advance(11)
    assert spent.spend("sms", ONE, 3) is Spend.ALLOWED
    clock.jump(-5)
    assert spent.spend("sms", ONE) is Spend.CALLER_CAP
    clock.jump(5)
    assert spent.spend("sms", ONE) is Spend.CALLER_CAP
    clock.jump(-366 * 86_400)  # it had been set wrong: the present day counts
    assert spent.spend("sms", ONE) is Spend.ALLOWED


async def test_a_restart_takes_up_what_was_written() -> None:
    clock, table = FakeClock(), FakeTable()
    before = spending(clock)
    before.spend("sms", ONE, 2)
    before.spend("sms", TWO)
    await before.flush(table)
    before.spend("sms", TWO)  # lost by the crash
    after = spending(clock)
    await after.load(table)
    assert after.spend("sms", ONE, 2) is Spend.CALLER_CAP
    assert after.spend("sms", TWO, 2) is Spend.ALLOWED
    assert after.spend("sms", b"", 6) is Spend.DAY_CAP
    assert after.spend("sms", b"", 5) is Spend.ALLOWED


async def test_only_changes_are_written_and_a_failed_write_is_made_up_for() -> None:
    clock, table = FakeClock(), FakeTable()
    spent = spending(clock)
    await spent.flush(table)
    assert table.writes == 0
    spent.spend("sms", ONE)
    table.down = True
    with pytest.raises(StoreUnavailable):
        await spent.flush(table)
    spent.spend("sms", TWO, 2)
    table.down = False
    await spent.flush(table)
    await spent.flush(table)
    assert table.writes == 1
    assert table.days == {"2026-03-05": {("sms", ONE): 1, ("sms", TWO): 2, ("sms", b""): 3}}


async def test_a_new_day_writes_nothing_of_the_old_one() -> None:
    clock, table = FakeClock(NEARLY_MIDNIGHT), FakeTable()
    spent = spending(clock)
    spent.spend("sms", ONE, 3)
    clock.advance(10)
    await spent.flush(table)
    assert table.days == {}
    spent.spend("sms", ONE)
    await spent.flush(table)
    assert table.days == {"2026-03-06": {("sms", ONE): 1, ("sms", b""): 1}}


def test_strangers_without_end_take_no_memory_without_end() -> None:
    spent = spending(FakeClock(), day=10**9, callers=100)
    told = [spent.spend("sms", number.to_bytes(16, "little")) for number in range(5000)]
    assert len(spent._units) <= 100 + 256
    assert told[:99] == [Spend.ALLOWED] * 99
    assert told.count(Spend.CALLER_CAP) > 4000
    assert spent.spend("sms", (5).to_bytes(16, "little")) is Spend.ALLOWED  # one that was counted by itself


async def test_processes_that_share_a_table_share_the_caps() -> None:
    clock, table = FakeClock(), FakeTable()
    here, there = spending(clock), spending(clock)
    assert here.spend("sms", ONE, 2) is Spend.ALLOWED
    assert there.spend("sms", ONE, 1) is Spend.ALLOWED
    await here.flush(table)
    assert there.spend("sms", TWO, 3) is Spend.ALLOWED
    await there.flush(table)
    assert there.spend("sms", ONE) is Spend.CALLER_CAP  # two there, one here
    assert here.spend("sms", b"") is Spend.ALLOWED
    assert here.spend("sms", b"", 3) is Spend.ALLOWED
    await here.flush(table)
    assert table.days["2026-03-05"]["sms", b""] == 10
    assert here.spend("sms", b"") is Spend.DAY_CAP


class InterruptedTable(FakeTable):
    """Something is spent while it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[DailySpending] = []

    async def add(self, day: str, units: Iterable[tuple[str, bytes, int]]) -> Mapping[tuple[str, bytes], int]:
        while self.meanwhile:
            assert self.meanwhile.pop().spend("sms", TWO, 2) is Spend.ALLOWED
        return await super().add(day, units)


async def test_what_is_spent_during_a_write_is_written_with_the_next() -> None:
    clock, table = FakeClock(), InterruptedTable()
    spent = spending(clock, day=5)
    spent.spend("sms", ONE, 3)
    table.meanwhile.append(spent)
    await spent.flush(table)
    assert table.days["2026-03-05"]["sms", b""] == 3
    assert spent.spend("sms", b"") is Spend.DAY_CAP
    await spent.flush(table)
    assert table.days["2026-03-05"] == {("sms", ONE): 3, ("sms", TWO): 2, ("sms", b""): 5}


async def test_on_sqlite_processes_add_up(tmp_path: Path) -> None:
    upgrade_sqlite(tmp_path / "record.db")
    storage = await open_sqlite(tmp_path / "record.db")
    try:
        spent = spending(FakeClock())
        spent.spend("sms", ONE, 2)
        await spent.flush(storage.spending)
        totals = await storage.spending.add("2026-03-05", [("sms", ONE, 1), ("sms", b"", 1)])
        assert totals == {("sms", ONE): 3, ("sms", b""): 3}
        assert await storage.spending.add("2026-03-05", []) == {}
        again = spending(FakeClock())
        await again.load(storage.spending)
        assert again.spend("sms", ONE) is Spend.CALLER_CAP
        assert again.spend("sms", TWO, 3) is Spend.ALLOWED
    finally:
        await storage.close()
