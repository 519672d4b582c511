from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.spending import SpendingTable
from app.adapters.storage.sqlite import open_sqlite, upgrade_sqlite
from tests.contract.spending.suite import SpendingTableContract


class TestSqliteSpending(SpendingTableContract):
    @pytest.fixture
    async def table(self, tmp_path: Path) -> AsyncIterator[SpendingTable]:
        upgrade_sqlite(tmp_path / "record.db")
        storage = await open_sqlite(tmp_path / "record.db")
        yield storage.spending
        await storage.close()
