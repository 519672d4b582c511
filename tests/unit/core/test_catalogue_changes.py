"""A recall, a void or a new batch holds from its commit, also for queries that were waiting meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.code import Code
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import VerificationRequest
from tests.fakes.sample_service import SampleService, start_sample_service


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


def request_for(service: SampleService, digits: str) -> VerificationRequest:
    return VerificationRequest(
        code=Code.parse(digits),
        caller=Caller(kind=CallerKind.WEB),
        channel="api",
        received_at=service.clock.now(),
    )


def recall_everything(service: SampleService) -> None:
    now = service.store.catalogue
    batches = [replace(batch, recalled=True) for batch in now.batches]
    service.store.catalogue = Catalogue.of(
        version=now.version + 1, batches=batches, spans=now.spans, key_checks=now.key_checks
    )


async def ask(service: SampleService, digits: str) -> asyncio.Task[Verdict]:
    """Ask, and return once the query waits for its commit."""
    task = asyncio.create_task(service.engine.verify(request_for(service, digits)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_a_recall_holds_for_what_waits_behind_a_commit_under_way(service: SampleService) -> None:
    service.store.hold()
    first = await ask(service, service.code(number=1))  # its commit is under way
    second = await ask(service, service.code(number=2))  # waits for the next one
    recall_everything(service)
    service.store.release()
    assert [(await task).outcome for task in (first, second)] == [Outcome.RECALLED, Outcome.RECALLED]


async def test_a_recall_noticed_by_another_query_holds_for_what_waits(service: SampleService) -> None:
    service.store.hold()
    first = await ask(service, service.code(number=1))
    second = await ask(service, service.code(number=2))
    recall_everything(service)
    await service.engine.check()  # the readiness check, or a slip, loads the catalogue anew
    assert service.engine.catalogue is service.store.catalogue
    service.store.release()
    assert [(await task).outcome for task in (first, second)] == [Outcome.RECALLED, Outcome.RECALLED]


async def test_a_new_batch_holds_for_a_code_that_waits(service: SampleService) -> None:
    whole = service.store.catalogue
    service.store.catalogue = Catalogue.of(version=0, batches=(), key_checks=whole.key_checks)
    await service.engine.start()
    service.store.hold()
    tasks = [await ask(service, service.code(number=number)) for number in (1, 2)]
    service.store.catalogue = whole
    service.store.release()
    assert [(await task).outcome for task in tasks] == [Outcome.FIRST, Outcome.FIRST]
