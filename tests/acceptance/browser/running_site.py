"""The real server with the real website over an in-memory service, on a free port of the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.core.ports.throttle import Throttle
from app.web.health import Health
from app.web.server import ServerOptions, WebServer
from channels.registry import load_channels
from tests.fakes.sample_service import SampleService, start_sample_service

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "channels" / "web" / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSite:
    """A served site: its address and the service behind it."""

    url: str
    service: SampleService

    def recorded(self) -> int:
        """How many verifications stand in the record."""
        return len(self.service.store.facts)


@asynccontextmanager
async def running_site(*, throttle: Throttle | None = None) -> AsyncIterator[RunningSite]:
    """Serve the website and the JSON API until the block ends."""
    service = await start_sample_service(throttle=throttle, public_url="http://127.0.0.1")
    server = WebServer(
        load_channels(("web", "api"), service.context),
        service.pipeline,
        clock=service.clock,
        journal=service.journal,
        health=Health({}, clock=service.clock, journal=service.journal),
        metrics=lambda: b"",
        options=ServerOptions(public_url="http://127.0.0.1", port=0, drain_s=1.0),
        static_folders=(STATIC,),
    )
    await server.start()
    try:
        yield RunningSite(url=f"http://127.0.0.1:{server.port}", service=service)
    finally:
        service.store.release()
        await server.stop()
        await service.engine.close()
