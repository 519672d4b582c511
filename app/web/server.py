"""The server: every route of every channel, the service's own addresses, graceful start and stop.

It stands on aiohttp's low-level server: routing is one look-up and there is no middleware, because each layer
costs every verification.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.http import HttpProcessingError

from app.core.ports.clock import Clock
from app.core.ports.journal import Journal
from app.logs import next_request
from app.web import problems
from app.web.accepting import Acceptor
from app.web.addresses import ClientAddresses, Network, find_address
from app.web.api.docs_page import docs_answer
from app.web.api.document import openapi_answer
from app.web.broken_requests import PlainServer
from app.web.express import ExpressLane, PlainPost
from app.web.health import Health
from app.web.responses import Responses
from app.web.routing import Address, Answer, Endpoint, Router
from app.web.static_files import load_static_files
from app.web.translation import BodyTooLargeError, BodyUnreadableError, asked_locale, read_body, translate
from channels.base import ChannelAdapter, InboundRequest, OutboundResponse, Refusal, RefusalKind, Route
from channels.pipeline import Pipeline
from channels.wording.locales import DEFAULT_LOCALE, negotiate_locale

OWN_STATIC: Final = Path(__file__).parent / "static"
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_NO_BODY: Final = frozenset({"GET", "HEAD"})
_BACKLOG: Final = 1024
_LINGER_S: Final = 2.0
_KEEP_ALIVE_S: Final = 75.0
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where to listen and whom to believe.

    ``port`` 0 takes a free one. ``metrics_from`` may read ``/metrics``. ``drain_s`` is how long requests under way
    may finish at the stop, ``body_deadline_s`` how long a body may take to arrive. At the stop, a connection that rests
    may bring one more request for ``patience_s``, whose answer tells the client to close: closed from our side, it
    could lose a request on its way. Without ``express`` every request takes aiohttp's way, to compare the two.
    """

    public_url: str
    host: str = "127.0.0.1"
    port: int = 8315
    trusted_proxies: tuple[Network, ...] = ()
    metrics_from: tuple[Network, ...] = ()
    express: bool = True
    drain_s: float = 20.0
    patience_s: float = 0.0
    body_deadline_s: float = 10.0


class WebServer:
    """Serves ``adapters`` through ``pipeline``. ``start`` listens, ``stop`` drains; one event loop, one start."""

    def __init__(
        self,
        adapters: Iterable[ChannelAdapter],
        pipeline: Pipeline,
        *,
        clock: Clock,
        journal: Journal,
        health: Health,
        metrics: Callable[[], bytes],
        options: ServerOptions,
        static_folders: Iterable[Path] = (),
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._health = health
        self._metrics = metrics
        self._options = options
        self._addresses = ClientAddresses(options.trusted_proxies)
        self._responses = Responses(https=options.public_url.startswith("https://"))
        self._router = Router()
        self._runner: web.ServerRunner | None = None
        self._usual: PlainServer | None = None
        self._listener: asyncio.Server | None = None
        self._acceptors: list[Acceptor] = []
        self._draining = False
        self._lane: ExpressLane | None = None
        for adapter in adapters:
            for route in adapter.routes():
                endpoint = Endpoint(
                    route=route,
                    answer=partial(pipeline.carry, adapter),
                    refuse=adapter.refuse,
                    channel=adapter.manifest.name,
                )
                self._router.add(endpoint, owner=adapter)
        self._add_own("/livez", health.live)
        self._add_own("/readyz", health.ready)
        self._add_own("/metrics", self._show_metrics)
        self._add_own("/api/v1/openapi.json", openapi_answer(options.public_url))
        self._add_own("/api/v1/docs", docs_answer(options.public_url))
        for path, file in load_static_files((*static_folders, OWN_STATIC)).items():
            self._add_own(path, file.answer)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._acceptors:
            return self._acceptors[0].port
        if self._listener is None or not self._listener.sockets:
            return self._options.port
        return int(self._listener.sockets[0].getsockname()[1])

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen, on ``sockets`` that other processes listen on as well where there are any; it closes them at the end.

        Raises ``OSError`` where the address cannot be taken.
        """
        server = PlainServer(
            self.serve,
            access_log=None,
            logger=_protocol_log(),
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            auto_decompress=False,  # signatures are over the bytes as sent, and a small body must stay small
        )
        server.refuse = self._refuse_broken
        self._usual = server
        self._runner = web.ServerRunner(server, shutdown_timeout=self._options.drain_s)
        await self._runner.setup()
        self._lane = ExpressLane(
            endpoints=self._router.plain_posts() if self._options.express else {},
            answer=self._answer_express,
            usual=server,
            idle_s=_KEEP_ALIVE_S,
        )
        try:
            await self._listen(self._lane, sockets)
        except OSError:
            await self._runner.cleanup()
            raise

    async def _listen(self, lane: ExpressLane, sockets: Sequence[socket.socket]) -> None:
        if sockets:
            self._acceptors = [Acceptor(listening, lane) for listening in sockets]
        else:
            self._listener = await asyncio.get_running_loop().create_server(
                lane, self._options.host, self._options.port, backlog=_BACKLOG
            )

    async def stop(self) -> None:
        """Take no more requests, let those under way finish (``drain_s`` at most), close every connection."""
        self._health.drain()
        self._draining = True
        if self._listener is not None:
            self._listener.close()
        acceptors, self._acceptors = self._acceptors, []
        for acceptor in acceptors:
            await acceptor.close()
        if self._runner is not None and self._lane is not None:
            runner, self._runner = self._runner, None
            self._lane.begin_to_drain()
            await self._await_goodbyes()
            await asyncio.gather(self._lane.stop(self._options.drain_s), runner.cleanup())

    async def _await_goodbyes(self) -> None:
        """Wait until every client closed its connection as it was told, ``patience_s`` at most."""
        lane, usual = self._lane, self._usual
        for _ in range(round(self._options.patience_s / _LOOK_S)):
            if not ((lane and lane.connections) or (usual and usual.connections)):
                return
            await asyncio.sleep(_LOOK_S)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request. Raises nothing but cancellation and ``ConnectionError`` (the client left)."""
        now = self._clock.now()
        next_request()
        address = self._router.find_exact(request.raw_path) or self._router.find(request.rel_url.raw_path)
        if address is None:
            owner = self._router.owner_of(request.rel_url.raw_path)
            refuse = owner.refuse if owner is not None else problems.refuse
            return self._refuse(request, refuse, RefusalKind.UNKNOWN_ADDRESS, now)
        method = request.method
        endpoint = address.endpoints.get(method)
        if endpoint is None:
            endpoint = address.endpoints.get("GET") if method == "HEAD" else None
            if endpoint is None:
                return self._refuse_method(request, address, now)
        body = b""
        if method not in _NO_BODY:
            try:
                body = await read_body(request, endpoint.route.max_body_bytes, self._options.body_deadline_s)
            except BodyTooLargeError:
                self._journal.refused(endpoint.channel, RefusalKind.TOO_LARGE)
                return self._refuse(request, endpoint.refuse, RefusalKind.TOO_LARGE, now)
            except BodyUnreadableError:
                self._journal.refused(endpoint.channel, RefusalKind.MALFORMED)
                return self._refuse(request, endpoint.refuse, RefusalKind.MALFORMED, now, close=True)
        try:
            inbound = translate(
                request, endpoint=endpoint, address=address, body=body, addresses=self._addresses, now=now
            )
            outbound = await endpoint.answer(inbound)
            return self._responses.make(outbound, now=now, headers=request.headers, close=self._draining)
        except Exception as error:  # noqa: BLE001 - the last line: the asker gets an honest answer, the operator a log
            self._journal.failed("request_failed", error)
            return self._refuse(request, endpoint.refuse, RefusalKind.INTERNAL, now)

    async def _answer_express(self, post: PlainPost, peer: str) -> bytes:
        """Answer one request of the express lane; as :meth:`serve`, without aiohttp."""
        now = self._clock.now()
        next_request()
        endpoint = post.endpoint
        route = endpoint.route
        headers = post.headers
        addresses = self._addresses
        if addresses.any_trusted:
            peer = addresses.client(peer, headers.get("x-forwarded-for", ""))
        try:
            inbound = InboundRequest(
                method=route.method,
                route=route.path,
                path=route.path,
                headers=headers,
                body=post.body,
                remote=peer,
                received_at=now,
            )
            outbound = await endpoint.answer(inbound)
        except Exception as error:  # noqa: BLE001 - the last line: the asker gets an honest answer, the operator a log
            self._journal.failed("request_failed", error)
            locale = negotiate_locale(headers.get("accept-language", "")) or DEFAULT_LOCALE
            outbound = self._refused(endpoint.refuse, Refusal(kind=RefusalKind.INTERNAL, locale=locale))
        head, body = self._responses.wire(outbound, now=now, headers=headers)
        return head + body

    def _refuse(
        self,
        request: web.BaseRequest,
        refuse: Callable[[Refusal], OutboundResponse],
        kind: RefusalKind,
        now: datetime,
        *,
        extra: tuple[tuple[str, str], ...] = (),
        close: bool = False,
    ) -> web.StreamResponse:
        outbound = self._refused(refuse, Refusal(kind=kind, locale=asked_locale(request)))
        outbound = replace(outbound, headers=(*outbound.headers, *extra)) if extra else outbound
        return self._responses.make(outbound, now=now, headers=request.headers, close=close or self._draining)

    def _refused(self, refuse: Callable[[Refusal], OutboundResponse], refusal: Refusal) -> OutboundResponse:
        try:
            return refuse(refusal)
        except Exception as error:  # noqa: BLE001 - a channel that cannot even refuse
            self._journal.failed("refusal_failed", error)
            return problems.refuse(refusal)

    def _refuse_broken(self, status: int) -> web.StreamResponse:
        """Answer what aiohttp could not read (4xx) or carry (5xx)."""
        kind = RefusalKind.MALFORMED if status < HTTPStatus.INTERNAL_SERVER_ERROR else RefusalKind.INTERNAL
        outbound = problems.refuse(Refusal(kind=kind))
        return self._responses.make(outbound, now=self._clock.now(), headers={}, close=True)

    def _refuse_method(self, request: web.BaseRequest, address: Address, now: datetime) -> web.StreamResponse:
        endpoint = next(iter(address.endpoints.values()))
        allow = (("Allow", address.allowed),)
        return self._refuse(request, endpoint.refuse, RefusalKind.NOT_ALLOWED, now, extra=allow)

    def _add_own(self, path: str, answer: Answer) -> None:
        route = Route(method="GET", path=path)
        self._router.add(Endpoint(route=route, answer=answer, refuse=problems.refuse, channel="server"))

    async def _show_metrics(self, inbound: InboundRequest) -> OutboundResponse:
        """Show the numbers to those who may see them; to anybody else the address does not exist."""
        reader = find_address(inbound.remote)
        # Behind a proxy that is not configured everybody would look local: a forwarded request is then nobody's.
        hidden = not self._addresses.any_trusted and "x-forwarded-for" in inbound.headers
        if hidden or reader is None or not any(reader in network for network in self._options.metrics_from):
            return problems.refuse(Refusal(kind=RefusalKind.UNKNOWN_ADDRESS))
        # with several workers the numbers of the others are read from files
        body = await asyncio.to_thread(self._metrics)
        return OutboundResponse(status=200, body=body, content_type=_METRICS_TYPE)


def _protocol_log() -> logging.Logger:
    """Return the log of aiohttp's protocol without what strangers send, as it quotes malformed requests in full, and
    without those who left in the middle of a body: each would be a traceback.
    """
    log = logging.getLogger("app.web.protocol")
    if not log.filters:
        log.addFilter(_not_the_strangers)
    return log


def _not_the_strangers(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)
