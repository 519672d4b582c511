from __future__ import annotations

import pytest

from app.core.errors import StoreUnavailable
from app.core.model.verdict import VerificationId
from app.core.ports.recall_watches import RecallWatches
from tests.contract.recall_watches.suite import ONE, RecallWatchesContract, address
from tests.contract.store.suite import asking
from tests.contract.store.test_memory import MemoryStage
from tests.fakes.clock import START
from tests.fakes.memory_recall_watches import MemoryRecallWatches

__all__ = ["asking"]


@pytest.fixture
def stage() -> MemoryStage:
    return MemoryStage()


class TestMemoryRecallWatches(RecallWatchesContract):
    @pytest.fixture
    def watches(self, stage: MemoryStage) -> RecallWatches:
        return MemoryRecallWatches(stage.store)


async def test_down_it_is_unavailable(stage: MemoryStage) -> None:
    watches = MemoryRecallWatches(stage.store)
    watches.down = True
    for step in (
        lambda: watches.watch(VerificationId(1), ONE, address(), locale="en", now=START),
        watches.due,
        lambda: watches.end([]),
    ):
        with pytest.raises(StoreUnavailable):
            await step()
