"""The service with every documented address on a port of the loopback: the JSON API, work, a mini-program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.abilities import ErrandFailed
from channels.registry import load_channels
from channels.web.settings import WebOptions
from channels.wechat.api.adapter import MiniProgramApiAdapter
from channels.wechat.api.sessions import MiniProgram
from channels.wechat.page import PageAdapter, PageSigner
from tests.contract.channel.mini_program_api_binding import ACCOUNT, token_of
from tests.fakes.sample_service import PUBLIC_URL, SampleService, start_sample_service
from tests.integration.server.running import Running, running

_LIVES_S = 50 * 365 * 86_400  # from the fixed day of the doubles, on the clock of the machine


class ManySignIns:
    """A platform that knows every second code, so that signing in has both answers."""

    async def open_session(self, js_code: str) -> str | ErrandFailed:
        number = sum(map(ord, js_code))
        if number % 2:
            return f"o{number:027}"
        return ErrandFailed(why="code_invalid", refused=True)


class Tickets:
    """A platform that always lends its ticket."""

    async def jsapi_ticket(self) -> str | ErrandFailed:
        return "ticket-of-the-platform"


@asynccontextmanager
async def api_site() -> AsyncIterator[tuple[Running, SampleService, str]]:
    """Yield the server, its service and the token of a session."""
    service = await start_sample_service(settings={"web": WebOptions(js_sdk=True, proof_rounds=1)})
    adapters = [
        *load_channels(["web", "api"], service.context),
        MiniProgramApiAdapter(service.context, [MiniProgram(account=ACCOUNT, platform=ManySignIns())]),
        PageAdapter(
            public_url=PUBLIC_URL,
            signer=PageSigner(account="wechat", app_id="wx1", tickets=Tickets()),
            domain_files={},
        ),
    ]
    checks = {"record": service.engine.check}
    try:
        async with running(adapters, service.pipeline, service.journal, checks=checks) as site:
            yield site, service, token_of(lives_s=_LIVES_S)
    finally:
        await service.engine.close()
