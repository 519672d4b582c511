"""The outside: an API client, two text message providers and WeChat's platform. They bring messages, again and late,
lose answers, take pushes without saying so, and report deliveries when they please.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Protocol
from urllib.parse import urlencode

from app.core.model.caller import CallerKind
from app.core.model.reply import Accepted
from app.core.ports.http_calls import HttpAnswer, HttpCall, NotCalled, Unanswered
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Sender, Unknown
from channels.base import ChannelAdapter, ChannelContext, InboundRequest, OutboundResponse
from channels.signatures import FORM_TYPE, parse_form
from channels.sms.adapter import SmsAdapter
from channels.sms.gateway.description import (
    BodyForm,
    FieldNames,
    FixedAnswer,
    GatewayDescription,
    SendDescription,
)
from channels.sms.gateway.dialect import GatewayDialect
from channels.sms.settings import GatewayOptions, TwilioOptions
from channels.sms.twilio.dialect import DELIVERIES, MESSAGES, TwilioDialect
from channels.sms.twilio.signing import Signatures
from channels.sms.twilio.simulate import read_reply
from channels.web.api import ApiAdapter
from channels.wechat.official_account import OfficialAccountAdapter
from channels.wechat.platform.client import Platform
from channels.wechat.platform.senders import make_senders
from channels.wechat.settings import API_BASE, Account, AccountKind, Mode
from channels.wechat.simulate import read_answer, signed_webhook, text_message
from tests.proof.simulation.machines import PUBLIC_URL, ground
from tests.proof.simulation.messages import Message
from tests.proof.simulation.world import BORN, World

REPLY: ContextVar[int] = ContextVar("reply", default=0)
_LONG_AGO = BORN.timestamp()
_ACCOUNT = Account(
    name="official-account",
    kind=AccountKind.OFFICIAL_ACCOUNT,
    tokens=("a-token",),
    app_id="wx0123456789abcdef",
    app_secret="a-secret",
    mode=Mode.PLAIN,
)
_TWILIO = TwilioOptions(auth_tokens=("a-token",), account_sid="AC" + "0" * 32)
_SIGNER = Signatures(_TWILIO.auth_tokens, PUBLIC_URL)
_OURS = "106901"
_GATEWAY = GatewayDescription(
    name="gateway",
    form=BodyForm.OBJECT,
    fields=FieldNames(sender="from", text="text", ours="to", id="id"),
    success=FixedAnswer(status=200, body=b"{}", content_type="application/json"),
    failure=FixedAnswer(status=500, body=b"{}", content_type="application/json"),
    unique_ids=True,
    send=SendDescription(
        url="https://gateway.example/send", fields={"to": "{to}", "text": "{text}"}, path="result", equals=0
    ),
)


@cache
def _token(kind: CallerKind, identity: str) -> bytes:
    return ground().identities.caller(kind, identity).token or b""


def numbers(caller: int) -> str:
    """Return a person's telephone number."""
    return f"+861380013800{caller}"


class Provider(Protocol):
    """One of those who bring messages. ``waits_s`` is how long for a response, ``tries`` how often at most."""

    channel: str
    spoken: str
    waits_s: float
    tries: int

    def caller(self, number: int) -> bytes: ...

    def message_id(self, number: int, token: bytes, text: str) -> str: ...

    def request(self, message: Message, now: datetime) -> InboundRequest: ...

    def accepts(self, response: OutboundResponse) -> bool: ...

    def read(self, response: OutboundResponse) -> str: ...


class ApiClient:
    """A program that asks by the JSON API, with an Idempotency-Key; repeats what was not answered."""

    channel = spoken = "api"
    waits_s = 5.0
    tries = 40

    def caller(self, number: int) -> bytes:
        return _token(CallerKind.WEB, _secret(number))

    def message_id(self, number: int, token: bytes, text: str) -> str:
        return f"key-{number}\n{text}"

    def request(self, message: Message, now: datetime) -> InboundRequest:
        return InboundRequest(
            method="POST",
            route="/api/v1/verifications",
            path="/api/v1/verifications",
            headers={
                "content-type": "application/json",
                "idempotency-key": f"key-{message.number}",
                "cookie": f"__Host-yz_caller={_secret(message.caller)}",
            },
            body=json.dumps({"code": message.text}).encode(),
            remote="192.0.2.7",
            received_at=now,
        )

    def accepts(self, response: OutboundResponse) -> bool:
        return response.status != 503

    def read(self, response: OutboundResponse) -> str:
        return response.body.decode() if response.status == 200 else ""


class TwilioClient:
    """Signs its webhooks, takes the reply in the response or by its own API, can be asked what it took."""

    channel, spoken = "twilio", "sms"
    waits_s = 15.0
    tries = 40

    def caller(self, number: int) -> bytes:
        return _token(CallerKind.PHONE, numbers(number))

    def message_id(self, number: int, token: bytes, text: str) -> str:
        return f"SM{number:032d}"

    def request(self, message: Message, now: datetime) -> InboundRequest:
        fields = {
            "Body": message.text,
            "From": numbers(message.caller),
            "MessageSid": message.message_id,
            "NumMedia": "0",
            "To": _OURS,
        }
        return _twilio_post(MESSAGES.path, MESSAGES.path, fields, now)

    def accepts(self, response: OutboundResponse) -> bool:
        return response.status == 200

    def read(self, response: OutboundResponse) -> str:
        return read_reply(response.body) if response.status == 200 else ""


class GatewayClient:
    """Brings texts and takes no reply in the response: each is pushed. It cannot be asked what it took."""

    channel, spoken = "gateway", "sms"
    waits_s = 15.0
    tries = 40

    def caller(self, number: int) -> bytes:
        return _token(CallerKind.PHONE, numbers(number))

    def message_id(self, number: int, token: bytes, text: str) -> str:
        return f"G{number}"

    def request(self, message: Message, now: datetime) -> InboundRequest:
        item = {
            "from": numbers(message.caller),
            "to": _OURS,
            "text": message.text,
            "id": message.message_id,
        }
        return InboundRequest(
            method="POST",
            route="/channels/sms/gateway/gateway/{secret}",
            path="/channels/sms/gateway/gateway/a-secret",
            parts={"secret": "a-secret"},
            headers={"content-type": "application/json"},
            body=json.dumps(item).encode(),
            remote="127.0.0.1",
            received_at=now,
        )

    def accepts(self, response: OutboundResponse) -> bool:
        return response.status == 200

    def read(self, response: OutboundResponse) -> str:
        return ""


class WechatClient:
    """Delivers a message three times, five seconds each, and then never again."""

    channel = spoken = "wechat"
    waits_s = 5.0
    tries = 3

    def caller(self, number: int) -> bytes:
        return _token(CallerKind.WECHAT, f"{_ACCOUNT.app_id}/openid{number}")

    def message_id(self, number: int, token: bytes, text: str) -> str:
        return f"{token.hex()}/{1000 + number}"

    def request(self, message: Message, now: datetime) -> InboundRequest:
        written = text_message(
            message.text,
            openid=f"openid{message.caller}",
            message_id=1000 + message.number,
            created_at=int(_LONG_AGO) + message.number,
        )
        webhook = signed_webhook(_ACCOUNT, written, sent_at=int(now.timestamp()), nonce="1")
        return InboundRequest(
            method="POST",
            route=_ACCOUNT.path,
            path=_ACCOUNT.path,
            query=dict(webhook.query),
            headers=dict(webhook.headers),
            body=webhook.body,
            received_at=now,
        )

    def accepts(self, response: OutboundResponse) -> bool:
        return response.status == 200

    def read(self, response: OutboundResponse) -> str:
        return read_answer(_ACCOUNT, response.body).text if response.status == 200 else ""


PROVIDERS: tuple[Provider, ...] = (ApiClient(), TwilioClient(), GatewayClient(), WechatClient())


@cache
def _twilio() -> TwilioDialect:
    """Return what every machine has a copy of: hashing its keys is dear beside the rest of a machine."""
    return TwilioDialect(_TWILIO, PUBLIC_URL)


def make_channels(
    context: ChannelContext, world: World
) -> tuple[dict[str, ChannelAdapter], tuple[Sender, ...]]:
    """Return a machine's adapters, by the names of the providers, and its ways out."""
    gateway = GatewayDialect(_GATEWAY, GatewayOptions(files=(), secrets=("a-secret",)), context.calls)
    platform = Platform(
        _ACCOUNT, api_base=API_BASE, calls=context.calls, cache=context.cache, clock=context.clock
    )
    chat = make_senders(_ACCOUNT, platform)
    adapters: dict[str, ChannelAdapter] = {
        "api": ApiAdapter(context),
        "twilio": SmsAdapter(copy(_twilio()), context),
        "gateway": SmsAdapter(gateway, context),
        "wechat": OfficialAccountAdapter(_ACCOUNT, context, chat),
    }
    real = (*gateway.senders(), *chat)
    return adapters, (TwilioOutgoing(world), *(NumberedSender(sender) for sender in real))


class NumberedSender:
    """A real way out; what it calls knows which reply it is for."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    @property
    def name(self) -> str:
        return self._sender.name

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        REPLY.set(text.reply_id)
        return await self._sender.send(text)

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        return await self._sender.find_sent(text, since=since, known_ids=known_ids)

    async def close(self) -> None:
        await self._sender.close()


class ProviderCalls:
    """``HttpCalls`` to the gateway and to WeChat's platform."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def call(self, call: HttpCall, *, deadline_s: float = 10.0) -> HttpAnswer | NotCalled | Unanswered:
        if call.url.startswith("https://gateway.example/"):
            text = json.loads(call.body)["text"]
            return await self._push(text, b'{"result": 0}', deadline_s)
        if "/stable_token" in call.url:
            body = b'{"access_token": "t", "expires_in": 7200}'
            return await self._answer(HttpAnswer(status=200, body=body), deadline_s)
        text = json.loads(call.body)["text"]["content"]
        return await self._push(text, b'{"errcode": 0}', deadline_s)

    async def _push(self, text: str, done: bytes, deadline_s: float) -> HttpAnswer | NotCalled | Unanswered:
        fate = draw_fate(self._world)
        if fate is not None and fate.taken is None:
            return await self._answer(fate.answer, deadline_s)
        self._world.loop.later(
            self._world.wire_s(), take, self._world, REPLY.get(), text, fate is None or fate.taken
        )
        answer = HttpAnswer(status=200, body=done)
        return await self._answer(answer if fate is None else fate.answer, deadline_s)

    async def _answer(
        self, answer: HttpAnswer | NotCalled | Unanswered, deadline_s: float
    ) -> HttpAnswer | NotCalled | Unanswered:
        world = self._world
        seconds = world.wire_s() * 2 + 0.01
        if isinstance(answer, Unanswered) or seconds > deadline_s:
            await world.pause(deadline_s)
            return Unanswered(why="no_answer")
        await world.pause(seconds)
        return answer


@dataclass(frozen=True, slots=True)
class PushFate:
    """What becomes of a push that does not simply succeed. ``taken`` is None where the provider never saw it."""

    taken: bool | None
    answer: HttpAnswer | NotCalled | Unanswered


def draw_fate(world: World) -> PushFate | None:
    """Return what goes wrong with a push, None for nothing."""
    weather = world.weather
    if world.happens(weather.push_refused):
        return PushFate(None, NotCalled(why="refused"))
    if world.happens(weather.push_busy):
        return PushFate(None, HttpAnswer(status=503))
    if world.happens(weather.push_unknown):
        world.counts["unknown_pushes"] += 1
        return PushFate(world.chance.random() < 0.5, Unanswered(why="lost"))
    return None


def take(world: World, reply: int, text: str, taken: bool | None) -> None:
    """Take a push at the provider, so that the person gets it."""
    if taken:
        world.on_push(reply, text)


class TwilioOutgoing:
    """The way out to a provider that keeps a list of what it took; reports what became of it, sometimes, later."""

    name = "twilio"

    def __init__(self, world: World) -> None:
        self._world = world

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        world, fate = self._world, draw_fate(self._world)
        seconds = world.wire_s() + 0.01
        sid = f"SM{len(world.listed):032d}"
        if fate is None or fate.taken:
            world.listed.append((sid, text.address.recipient, text.text, world.now_s))
            world.loop.later(seconds, take, world, int(text.reply_id), text.text, True)
            world.on_report(int(text.reply_id), sid)
        if fate is None:
            await world.pause(2 * seconds)
            return Accepted(provider_id=sid)
        if fate.taken is None:
            await world.pause(seconds)
            return Deferred(why="busy")
        await world.pause(10.0)
        return Unknown(why="lost")

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        world = self._world
        await world.pause(world.wire_s() + 0.01)
        if world.happens(world.weather.push_refused):
            return Unknown(why="list_failed", ask_again=True)
        earliest = (since - timedelta(seconds=60) - BORN).total_seconds() + 1000.0
        alike = [
            sid
            for sid, recipient, body, at_s in world.listed
            if recipient == text.address.recipient and body == text.text and at_s >= earliest
        ]
        try:
            known = await known_ids(alike) if alike else frozenset()
        except Exception:  # noqa: BLE001 - as the real one
            return Unknown(why="list_failed", ask_again=True)
        return next((Accepted(provider_id=sid) for sid in alike if sid not in known), NotSent())

    async def close(self) -> None:
        """Nothing is open."""


def delivery_report(reply: int, sid: str, state: str, now: datetime) -> InboundRequest:
    """Return the webhook that tells what became of a push."""
    path = DELIVERIES.path.replace("{reply}", str(reply))
    return _twilio_post(
        DELIVERIES.path, path, {"MessageSid": sid, "MessageStatus": state}, now, reply=str(reply)
    )


def _twilio_post(
    route: str, path: str, fields: dict[str, str], now: datetime, **parts: str
) -> InboundRequest:
    body = urlencode(fields).encode("ascii")
    signature = _SIGNER.sign(path, parse_form(body))
    return InboundRequest(
        method="POST",
        route=route,
        path=path,
        parts=parts,
        headers={"content-type": FORM_TYPE, "x-twilio-signature": signature},
        body=body,
        remote="192.0.2.9",
        received_at=now,
    )


def _secret(caller: int) -> str:
    return f"{caller:022d}"
