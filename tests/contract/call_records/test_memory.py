from __future__ import annotations

import pytest

from app.core.errors import StoreUnavailable
from app.core.model.call import CallEnd
from app.core.ports.call_records import CallRecords
from tests.contract.call_records.suite import CallRecordsContract, Look, began, ended
from tests.fakes.memory_call_records import KeptCall, MemoryCallRecords


class TestMemoryCallRecords(CallRecordsContract):
    @pytest.fixture
    def memory(self) -> MemoryCallRecords:
        return MemoryCallRecords()

    @pytest.fixture
    def records(self, memory: MemoryCallRecords) -> CallRecords:
        return memory

    @pytest.fixture
    def look(self, memory: MemoryCallRecords) -> Look:
        async def look(key: bytes) -> KeptCall | None:
            return memory.kept.get(key)

        return look


async def test_down_it_is_unavailable() -> None:
    records = MemoryCallRecords()
    records.down = True
    for step in (began(), ended(CallEnd.COMPLETED, 1)):
        with pytest.raises(StoreUnavailable):
            await step(records)
