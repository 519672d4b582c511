"""The real server with the real website over an in-memory service, on a free port of the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.adapters.throttle import Limit, MemoryThrottle, with_vouchers
from app.core.ports.throttle import Throttle
from app.web.health import Health
from app.web.server import ServerOptions, WebServer
from channels.abilities import ErrandFailed
from channels.base import ChannelAdapter
from channels.registry import load_channels
from channels.web.settings import WebOptions
from channels.wechat.page import PageAdapter, PageSigner
from tests.fakes.ports import free_port
from tests.fakes.sample_service import SampleService, start_sample_service

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "channels" / "web" / "static"
TICKET = "ticket-that-the-platform-lent"
APP_ID = "wx5823bf96d3bd56c7"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSite:
    """A served site: its address and the service behind it."""

    url: str
    service: SampleService

    def recorded(self) -> int:
        """How many verifications stand in the record."""
        return len(self.service.store.facts)


class FakeTickets:
    """Lends always the same ticket, so that no platform is asked."""

    async def jsapi_ticket(self) -> str | ErrandFailed:
        return TICKET


@asynccontextmanager
async def running_site(
    *,
    throttle: Throttle | None = None,
    limits: Mapping[str, Limit] | None = None,
    proof_rounds: int = 0,
    js_sdk: bool = False,
) -> AsyncIterator[RunningSite]:
    """Serve the website and the JSON API until the block ends; with ``js_sdk`` pages are signed for WeChat.

    ``limits`` hold by the service's own clock, which stands still until a test moves it.
    """
    port = free_port() if js_sdk else 0
    public_url = f"http://127.0.0.1:{port}" if js_sdk else "http://127.0.0.1"
    service = await start_sample_service(
        throttle=throttle,
        public_url=public_url,
        settings={"web": WebOptions(js_sdk=js_sdk, proof_rounds=proof_rounds)},
    )
    if limits is not None:
        service = replace(service, throttle=MemoryThrottle(service.clock, with_vouchers(limits)))
    adapters: tuple[ChannelAdapter, ...] = load_channels(("web", "api"), service.context)
    if js_sdk:
        signer = PageSigner(account="official-account", app_id=APP_ID, tickets=FakeTickets())
        adapters += (PageAdapter(public_url=public_url, signer=signer, domain_files={}),)
    server = WebServer(
        adapters,
        service.pipeline,
        clock=service.clock,
        journal=service.journal,
        health=Health({}, clock=service.clock, journal=service.journal),
        metrics=lambda: b"",
        options=ServerOptions(public_url=public_url, port=port, drain_s=1.0),
        static_folders=(STATIC,),
    )
    await server.start()
    try:
        yield RunningSite(url=f"http://127.0.0.1:{server.port}", service=service)
    finally:
        service.store.release()
        await server.stop()
        await service.engine.close()
