from __future__ import annotations

import pytest

from app.core.errors import StoreUnavailable
from app.core.ports.correspondence import Correspondence
from tests.contract.correspondence.suite import ONE, START, CorrespondenceContract
from tests.fakes.memory_correspondence import MemoryCorrespondence


class TestMemoryCorrespondence(CorrespondenceContract):
    @pytest.fixture
    def correspondence(self) -> Correspondence:
        return MemoryCorrespondence()


async def test_down_it_is_unavailable() -> None:
    correspondence = MemoryCorrespondence()
    correspondence.down = True
    with pytest.raises(StoreUnavailable):
        await correspondence.find(ONE, now=START)
