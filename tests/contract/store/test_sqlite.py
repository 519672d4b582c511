from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.store.durable_suite import DurableStoreContract
from tests.contract.store.registry_suite import LabelRegistryContract
from tests.contract.store.sqlite_stage import OFTEN, SqliteStage, prepare
from tests.contract.store.suite import VerificationStoreContract, asking

__all__ = ["asking"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(prepare(tmp_path_factory.mktemp("prepared") / "record.db"))


@pytest.fixture(params=[None, OFTEN], ids=["folds-rarely", "folds-always"])
async def stage(prepared: Path, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SqliteStage]:
    stage = await SqliteStage.open(prepared, tmp_path, request.param)
    yield stage
    await stage.close()


class TestSqliteVerifications(VerificationStoreContract):
    pass


class TestSqliteAsARecordThatLasts(DurableStoreContract):
    pass


class TestSqliteRegistry(LabelRegistryContract):
    pass
