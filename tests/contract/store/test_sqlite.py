from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from app.adapters.storage.sqlite.verifications import OWN
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


async def test_a_list_of_own_checks_is_found_by_its_index(stage: SqliteStage) -> None:
    with closing(sqlite3.connect(stage.path)) as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN {OWN}", (b"t", 20)).fetchall()
    assert any("USING INDEX verification_own" in step[-1] for step in plan)
    assert not any("SCAN" in step[-1] or "TEMP B-TREE" in step[-1] for step in plan)


class TestSqliteRegistry(LabelRegistryContract):
    pass
