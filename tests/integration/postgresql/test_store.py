from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.store.durable_suite import DurableStoreContract
from tests.contract.store.registry_suite import LabelRegistryContract
from tests.contract.store.suite import VerificationStoreContract, asking
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage

__all__ = ["asking"]


@pytest.fixture(params=["tcp", "socket", "64-shards"])
async def stage(
    plain: Prepared, sharded: Prepared, request: pytest.FixtureRequest
) -> AsyncIterator[PostgresqlStage]:
    prepared = sharded if request.param == "64-shards" else plain
    await prepared.empty()
    stage = await PostgresqlStage.open(prepared.socket_url if request.param == "socket" else prepared.url)
    yield stage
    await stage.close()


class TestPostgresqlVerifications(VerificationStoreContract):
    pass


class TestPostgresqlAsARecordThatLasts(DurableStoreContract):
    pass


class TestPostgresqlRegistry(LabelRegistryContract):
    pass
