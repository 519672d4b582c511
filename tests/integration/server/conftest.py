from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from channels.registry import load_channels
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.integration.server.running import Running, running


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


@pytest.fixture
async def site(service: SampleService) -> AsyncIterator[Running]:
    """The real channels over the sample service."""
    adapters = load_channels(["web", "api"], service.context)
    folder = Path(str(sys.modules["channels.web"].__file__)).parent / "static"
    checks = {"record": service.engine.check}
    async with running(
        adapters, service.pipeline, service.journal, checks=checks, static_folders=[folder]
    ) as site:
        yield site


@pytest.fixture
async def client(site: Running) -> AsyncIterator[ClientSession]:
    async with ClientSession(site.url) as client:
        yield client
