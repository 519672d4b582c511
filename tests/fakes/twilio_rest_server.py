"""A loopback HTTP server that plays Twilio's Messages resource, with the faults of a bad day on demand."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum

from aiohttp import web


class Fault(StrEnum):
    """What goes wrong with one call."""

    CLOSE_AFTER = "close_after"  # the message was taken, the answer is lost
    CLOSE_BEFORE = "close_before"
    CUT = "cut"  # the message was taken, half of the answer arrives
    HANG = "hang"  # the message was taken, no answer ever comes
    NONSENSE = "nonsense"  # success, but not Twilio's


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One call is answered with this instead."""

    status: int
    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Message:
    """A message as the provider keeps it."""

    sid: str
    to: str
    ours: str
    body: str
    created_at: datetime
    direction: str = "outbound-api"
    callback: str = ""
    service: str = ""

    def document(self, account_sid: str) -> dict[str, object]:
        return {
            "account_sid": account_sid,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": format_datetime(self.created_at),
            "date_sent": None,
            "date_updated": format_datetime(self.created_at),
            "direction": self.direction,
            "error_code": None,
            "error_message": None,
            "from": self.ours or None,
            "messaging_service_sid": self.service or None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": "queued",
            "subresource_uris": {},
            "to": self.to,
            "uri": f"/2010-04-01/Accounts/{account_sid}/Messages/{self.sid}.json",
        }


class TwilioRestServer:
    """Keeps messages in memory. ``faults`` are used up one a call; ``tokens`` are those the account still has."""

    def __init__(self, account_sid: str, tokens: tuple[str, ...], now: datetime) -> None:
        self.account_sid = account_sid
        self.tokens = tokens
        self.now = now
        self.url = ""
        self.messages: list[Message] = []
        self.calls: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.faults: list[Fault | Answered] = []
        self._released = asyncio.Event()

    def add(self, *, to: str, ours: str, body: str, **more: object) -> Message:
        message = Message(
            sid=f"SM{len(self.messages):032x}", to=to, ours=ours, body=body, created_at=self.now
        )
        for name, what in more.items():
            setattr(message, name, what)
        self.messages.append(message)
        return message

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TwilioRestServer]:
        app = web.Application()
        path = f"/relay/2010-04-01/Accounts/{self.account_sid}/Messages.json"
        app.router.add_post(path, self._create)
        app.router.add_get(path, self._list)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/relay"
        try:
            yield self
        finally:
            self._released.set()
            await runner.cleanup()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.calls.append("create")
        form = await request.post()
        fault = self.faults.pop(0) if self.faults else None
        refusal = self._refuse(request, fault)
        if refusal is not None:
            return refusal
        if fault is Fault.CLOSE_BEFORE:
            return _hang_up(request)
        message = self.add(
            to=str(form["To"]),
            ours=str(form.get("From", "")),
            body=str(form["Body"]),
            callback=str(form.get("StatusCallback", "")),
            service=str(form.get("MessagingServiceSid", "")),
        )
        return await self._answer(request, fault, message.document(self.account_sid), 201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.calls.append("list")
        self.queries.append(dict(request.query))
        fault = self.faults.pop(0) if self.faults else None
        refusal = self._refuse(request, fault)
        if refusal is not None:
            return refusal
        if fault is Fault.CLOSE_BEFORE:
            return _hang_up(request)
        size = int(request.query.get("PageSize", "50"))
        found = [
            message
            for message in reversed(self.messages)
            if message.to == request.query.get("To", message.to)
            and message.ours == request.query.get("From", message.ours)
        ]
        page: dict[str, object] = {
            "messages": [message.document(self.account_sid) for message in found[:size]],
            "page": 0,
            "page_size": size,
            "start": 0,
            "end": min(size, len(found)),
            "uri": request.path_qs,
            "first_page_uri": request.path_qs,
            "previous_page_uri": None,
            "next_page_uri": None,
        }
        return await self._answer(request, fault, page, 200)

    async def _answer(
        self, request: web.Request, fault: Fault | Answered | None, document: dict[str, object], status: int
    ) -> web.StreamResponse:
        if fault is Fault.HANG:
            await self._released.wait()
        if fault is Fault.CLOSE_AFTER:
            return _hang_up(request)
        if fault is Fault.NONSENSE:
            return web.Response(text="<html>Sign in to the network</html>", content_type="text/html")
        if fault is Fault.CUT:
            cut = web.StreamResponse(status=status, headers={"Content-Length": "4096"})
            await cut.prepare(request)
            await cut.write(b'{"sid": "SM')
            return _hang_up(request, cut)
        return web.json_response(document, status=status)

    def _refuse(self, request: web.Request, fault: Fault | Answered | None) -> web.Response | None:
        logins = {
            "Basic " + base64.b64encode(f"{self.account_sid}:{one}".encode()).decode() for one in self.tokens
        }
        if request.headers.get("Authorization") not in logins:
            return _problem(Answered(status=401, code=20003))
        return _problem(fault) if isinstance(fault, Answered) else None


def _problem(answered: Answered) -> web.Response:
    return web.json_response(
        {"code": answered.code, "message": "+8613912345678 is the number meant", "status": answered.status},
        status=answered.status,
        headers=answered.headers,
    )


def _hang_up(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()


STARTED_AT = datetime(2026, 3, 5, 8, 0, tzinfo=UTC)
