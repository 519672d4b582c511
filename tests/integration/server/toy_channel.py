"""A channel whose every step a test can set, to see what the server does with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.core.model.verification import Record
from channels.base import ChannelAdapter, ChannelManifest, InboundRequest, OutboundResponse, Refusal, Route
from channels.turns import CommandGiven, Turn
from channels.wording.reply import Reply


class ToyChannel:
    """Answers with ``reply``, after ``before`` (which may raise); keeps what it was sent."""

    manifest = ChannelManifest(name="toy", deadline_ms=1000, how_to_ask="")

    def __init__(self, *routes: Route) -> None:
        self._routes = routes
        self.seen: list[InboundRequest] = []
        self.refusals: list[Refusal] = []
        self.reply = OutboundResponse(status=200, body=b"toy", content_type="text/plain")
        self.before: Callable[[], None] = lambda: None

    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def authenticate(self, request: InboundRequest) -> None:
        self.before()

    def decode(self, request: InboundRequest) -> Turn:
        self.seen.append(request)
        return CommandGiven(kind="toy")

    def encode(
        self, request: InboundRequest, turn: Turn, reply: Reply | None, record: Record | None = None
    ) -> OutboundResponse:
        return self.reply

    def refuse(self, refusal: Refusal) -> OutboundResponse:
        self.refusals.append(refusal)
        return OutboundResponse(status=418, body=refusal.kind.value.encode(), content_type="text/plain")


class GatedPipeline:
    """Stands for the pipeline: each request waits at the gate, then is answered; counts both."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.finished = 0

    async def carry(self, adapter: ChannelAdapter, inbound: InboundRequest) -> OutboundResponse:
        self.entered.set()
        await self.gate.wait()
        self.finished += 1
        return OutboundResponse(status=200, body=b"carried", content_type="text/plain")
