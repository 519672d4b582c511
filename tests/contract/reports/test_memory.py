from __future__ import annotations

import pytest

from app.core.errors import StoreUnavailable
from app.core.ports.reports import Reports
from tests.contract.reports.suite import Erase, Look, ReportsContract, keeping
from tests.fakes.memory_reports import KeptReport, MemoryReports


class TestMemoryReports(ReportsContract):
    @pytest.fixture
    def memory(self) -> MemoryReports:
        return MemoryReports()

    @pytest.fixture
    def reports(self, memory: MemoryReports) -> Reports:
        return memory

    @pytest.fixture
    def look(self, memory: MemoryReports) -> Look:
        async def look(key: bytes, recording: str) -> KeptReport | None:
            return memory.kept.get((key, recording))

        return look

    @pytest.fixture
    def erase(self, memory: MemoryReports) -> Erase:
        return memory.erase


async def test_down_it_is_unavailable() -> None:
    reports = MemoryReports()
    reports.down = True
    with pytest.raises(StoreUnavailable):
        await keeping(reports)()
    with pytest.raises(StoreUnavailable):
        await reports.newest()
