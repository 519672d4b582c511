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
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[PostgresqlStage]:
    prepared: Prepared = request.getfixturevalue(request.param)
    await prepared.empty()
    # one form of the schema by TCP with a password, the other by its socket
    stage = await PostgresqlStage.open(prepared.url if request.param == "plain" else prepared.socket_url)
    yield stage
    await stage.close()


class TestPostgresqlVerifications(VerificationStoreContract):
    pass


class TestPostgresqlAsARecordThatLasts(DurableStoreContract):
    pass


class TestPostgresqlRegistry(LabelRegistryContract):
    pass
