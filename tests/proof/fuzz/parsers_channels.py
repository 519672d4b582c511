"""Requests of every channel as octets: through the whole pipeline as they come, and behind the signature.

The octets are those of HTTP, read by the same router and address parser as on the wire; what brings requests without
HTTP (the link to a message centre, to a switch) writes its method and path in the same place.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus, urlencode

from yarl import URL

from app.core.errors import NotAuthentic, Undecodable
from app.web.problems import refuse
from app.web.responses import Responses
from app.web.routing import NO_PARTS, Endpoint, Router
from channels.base import ChannelAdapter, InboundRequest
from channels.turns import CodeSubmitted, Several, Turn
from tests.contract.channel.bindings import BINDINGS
from tests.contract.channel.suite import ChannelBinding
from tests.fakes.clock import START
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.proof.fuzz.engine import Breach, Parser
from tests.proof.fuzz.parsers_text import own_codes, prove_typed

_RESPONSES = Responses(https=True)
_PATH = re.compile(r"[!-~]+")
_SEALED = ("ivr", "wechat")  # what was typed cannot be seen in the octets
WORDS = {
    "web": (
        b"code=",
        b"&lang=",
        b"&nonce=",
        b"&wait=",
        b"&solution=",
        b"cookie: ",
        b"; yz_pass=",
        b"/q/",
        b"/21/",
        b"/r/",
        b"lang=en",
        b"accept-language: ",
        b"origin: null\r\n",
        b"user-agent: MicroMessenger\r\n",
        b"?nonce=",
    ),
    "api": (
        b'"code":',
        b'"locale":',
        b'"entry":"scanned"',
        b"idempotency-key: ",
        b"proof-of-work: ",
        b"cookie: yz_caller=",
    ),
    "sms": (
        b"Body=",
        b"From=",
        b"To=",
        b"NumMedia=",
        b"OptOutType=STOP",
        b"MessageSid=SM",
        b"text=",
        b"id=",
        b"ts=",
        b"2026-03-05 01:12:00",
        b"charset=UTF-16",
        b'"content":',
        b'"send_time":',
        b'"phone_number":',
        b"kind: report\r\n",
        b"message-id: ",
        b"message-state: 2\r\n",
        b"stat:DELIVRD id:7 ",
        b"STOP",
        b"EN ",
    ),
    "ivr": (
        b"Digits=",
        b"CallSid=CA",
        b"FinishedOnKey=%23",
        b"RecordingSid=RE",
        b"RecordingUrl=",
        b"ErrorUrl=",
        b"CallStatus=completed",
        b"CallDuration=",
        b"DialCallStatus=busy",
        b"event: keys\r\n",
        b"ended: hash\r\n",
        b"seconds: 12\r\n",
        b"language: en\r\n",
    ),
    "wechat": (
        b"<![CDATA[",
        b"]]>",
        b"<MsgType>",
        b"<Content>",
        b"<Event>",
        b"<Encrypt>",
        b"encrypt_type=aes",
        b"nonce=",
        b"timestamp=",
        b"msg_signature=",
        b"echostr=",
        b'"MsgType":',
        b'"Encrypt":',
        b"<!DOCTYPE a>",
        b"&#x10FFFF;",
    ),
}


def written(request: InboundRequest) -> bytes:
    """Return a request as octets."""
    target = request.path
    if "{" in request.route:
        target = request.route.format(**{name: quote(part, safe="") for name, part in request.parts.items()})
    if request.query:
        target += f"?{urlencode(request.query)}"
    lines = [f"{request.method} {target}", *(f"{name}: {value}" for name, value in request.headers.items())]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + request.body


@dataclass(frozen=True, slots=True)
class Desk:
    """One channel as it is served: octets to requests, requests to responses."""

    service: SampleService
    adapter: ChannelAdapter
    router: Router
    runner: asyncio.Runner
    seals: bool

    def read(self, data: bytes) -> InboundRequest:
        """Return the request that octets are. Raises ``Undecodable`` for an address there is none."""
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        method, _, target = first.partition(" ")
        headers = dict(_header(line) for line in lines)
        if not self.adapter.routes():  # a listener's requests, made in this process
            return self._inbound(method, target, target, headers, body, {}, {})
        if not target.startswith("/") or not _PATH.fullmatch(target):
            raise Undecodable("no address")
        path, _, query = target.partition("?")
        url = URL.build(path=path, query_string=query, encoded=True)
        address = self.router.find_exact(target) or self.router.find(url.raw_path)
        endpoint = None if address is None else address.endpoints.get(method)
        if address is None or endpoint is None or len(body) > endpoint.route.max_body_bytes:
            raise Undecodable("no address of this channel")
        told = target if address.parts is NO_PARTS and "?" not in target else url.path
        return self._inbound(method, endpoint.route.path, told, headers, body, address.parts, url.query)

    @staticmethod
    def _inbound(
        method: str,
        route: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        parts: Mapping[str, str],
        query: Mapping[str, str],
    ) -> InboundRequest:
        return InboundRequest(
            method=method,
            route=route,
            path=path,
            headers=headers,
            body=body,
            parts=parts,
            query=query,
            remote="127.0.0.1",
            received_at=START,
        )

    def carry(self, data: bytes) -> None:
        """Carry a request as it is, then read it as if it had proved itself. Raises the channel's errors."""
        inbound = self.read(data)
        response = self.runner.run(self.service.pipeline.carry(self.adapter, inbound))
        _RESPONSES.wire(response, now=START, headers=inbound.headers)
        failures, self.service.journal.failures = self.service.journal.failures, []
        if response.status >= 500 or failures:
            raise Breach(f"answered {response.status}, and failed: {failures}")
        turn = self.adapter.decode(inbound)
        if not self.seals:
            text = data.decode("utf-8", "replace")
            for digits in _codes(turn):
                prove_one(
                    digits, (text, unquote_plus(text), unquote_plus(unquote_plus(text)), _unescaped(text))
                )


def prove_one(digits: str, texts: tuple[str, ...]) -> None:
    """Raise ``Breach`` unless the digits were typed in one of ``texts``, one spelling each of the same octets."""
    for number, text in enumerate(texts):
        try:
            prove_typed(digits, text)
            return
        except Breach:
            if number == len(texts) - 1:
                raise


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)


def _codes(turn: Turn) -> Iterator[str]:
    for one in turn.turns if isinstance(turn, Several) else (turn,):
        if isinstance(one, CodeSubmitted):
            yield one.request.code.digits
            yield from (code.digits for code in one.request.other_readings)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


async def _nobody(_request: InboundRequest) -> None:
    raise AssertionError("only addresses are looked up here")


def _router(adapter: ChannelAdapter) -> Router:
    router = Router()
    for route in adapter.routes():
        router.add(Endpoint(route=route, answer=_nobody, refuse=refuse, channel=adapter.manifest.name))  # type: ignore[arg-type]
    return router


def seeds_of(binding: ChannelBinding) -> tuple[bytes, ...]:
    one, two, *_ = own_codes()
    texts = (one, f"请查 {one[:10]} {one[10:]} 谢谢", f"{one} {two}", "HELP", "")
    code = (one, two) if binding.traits.telephone else texts
    requests = [binding.ask(text, message=f"m{number}") for number, text in enumerate(code)]
    requests += binding.malformed(one)
    requests += binding.forged(one)[:2]
    requests += binding.never_counted(one)
    return tuple(dict.fromkeys(written(request) for request in requests))


@contextmanager
def channel_parsers() -> Iterator[tuple[Parser, ...]]:
    """Yield a parser for each binding of the contract suite; they share a loop, each has a service of its own."""
    services: list[SampleService] = []
    with asyncio.Runner() as runner:
        parsers = []
        for channel, kinds in BINDINGS.items():
            for kind in kinds:
                binding = kind()
                service = runner.run(start_sample_service())
                services.append(service)
                adapter = binding.adapter(service.context)
                desk = Desk(service, adapter, _router(adapter), runner, channel in _SEALED)
                parsers.append(
                    Parser(
                        name=f"{channel}: {kind.__name__.removesuffix('Binding')}",
                        feed=desk.carry,
                        allowed=(Undecodable, NotAuthentic),
                        seeds=seeds_of(binding),
                        words=WORDS[channel],
                        secrets=binding.secrets,
                        largest=24 * 1024,
                    )
                )
        try:
            yield tuple(parsers)
        finally:
            for service in services:
                runner.run(service.engine.close())
