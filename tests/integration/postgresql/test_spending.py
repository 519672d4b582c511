"""The day's spending of several processes on a real PostgreSQL."""

from __future__ import annotations

import pytest

from app.adapters.spending import SpendingTable
from app.adapters.storage.postgresql import PostgresqlStorage
from tests.contract.spending.suite import SpendingTableContract


class TestPostgresqlSpending(SpendingTableContract):
    @pytest.fixture
    def table(self, storage: PostgresqlStorage) -> SpendingTable:
        return storage.spending
