from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.store.durable_suite import DurableStoreContract
from tests.contract.store.registry_suite import LabelRegistryContract
from tests.contract.store.suite import VerificationStoreContract, asking
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage

__all__ = ["asking"]


@pytest.fixture(params=["plain", "sharded"])
def prepared(request: pytest.FixtureRequest) -> Prepared:
    prepared: Prepared = request.getfixturevalue(request.param)
    return prepared


@pytest.fixture
async def stage(prepared: Prepared) -> AsyncIterator[PostgresqlStage]:
    await prepared.empty()
    stage = await PostgresqlStage.open(prepared.address)
    yield stage
    await stage.close()


class TestPostgresqlVerifications(VerificationStoreContract):
    pass


class TestPostgresqlAsARecordThatLasts(DurableStoreContract):
    pass


class TestPostgresqlRegistry(LabelRegistryContract):
    pass
