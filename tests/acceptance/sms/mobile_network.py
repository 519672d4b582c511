"""Shoppers' texts on their way through four providers, and what reaches the telephones: the model of the proof.

Every text is sent to a number of its own, so that each thing that arrives, and each fact, is known by its message.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson

from app.core.model.reply import Accepted, ReplyId
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Sender, Unknown
from channels.base import InboundRequest, OutboundResponse
from channels.signatures import parse_form
from channels.sms.settings import TwilioOptions
from channels.sms.smpp.wire import Delivery as DeliverSm
from channels.sms.twilio.signing import Signatures
from channels.sms.twilio.simulate import read_reply, signed_webhook
from tests.acceptance.sms.service_life import LINK_TOKEN, PATH_SECRET, PUBLIC_URL, TWILIO, ServiceLife

IN_BAND: Final = ("twilio", "kannel")
_HOME: Final = ZoneInfo("Asia/Shanghai")
_LOOPBACK: Final = "127.0.0.1"
_CALLBACK_ROUTE: Final = "/channels/sms/twilio/delivery/{reply}"
_KANNEL_ROUTE: Final = "/channels/sms/kannel/{secret}"
_GATEWAY_ROUTE: Final = "/channels/sms/gateway/alibaba/{secret}"


class Fate(StrEnum):
    """What becomes of the first try to push a reply; later tries go well."""

    TAKEN = "taken"
    NOT_NOW = "not_now"
    TAKEN_UNHEARD = "taken_unheard"  # the provider took it, its answer was lost
    LOST = "lost"  # the call never reached the provider, which nobody knows
    TAKEN_UNLISTED = "taken_unlisted"  # as taken_unheard, and the provider cannot say so when asked


class Expected(StrEnum):
    """How many replies a message must cause."""

    ONE = "one"
    NONE = "none"
    AT_MOST_ONE = "at_most_one"


class Variant(StrEnum):
    """How a delivery differs from the first one of its message."""

    SAME = "same"
    OTHER_ID = "other_id"  # Kannel: the message centre brought it again
    OTHER_TEXT = "other_text"  # Twilio: the same MessageSid
    OTHER_TOKEN = "other_token"  # Twilio: signed with the token that is on its way out


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """One text and all that is known to have come of it. ``serials``: the labels it may be counted for, none of them
    for a text that asks for none; ``is_recorded`` None where a rule may refuse it.
    """

    number: int
    provider: str
    sender: str
    text: str
    sent_at: datetime
    serials: tuple[int | None, ...] = ()
    is_recorded: bool | None = False
    expected: Expected = Expected.ONE
    other_text: str = ""
    fate: Fate = Fate.TAKEN
    is_english: bool = False
    ids: set[str] = field(default_factory=set)
    answers: set[str] = field(default_factory=set)
    in_band: str | None = None
    pushed: list[str] = field(default_factory=list)
    tries: int = 0
    lives: set[int] = field(default_factory=set)
    left: int = 0

    @property
    def ours(self) -> str:
        return f"95{self.number:08d}"

    @property
    def arrived(self) -> list[str]:
        """What the sender's telephone showed: the first response taken, and everything pushed."""
        return ([self.in_band] if self.in_band else []) + self.pushed


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One delivery of a message to the service. ``is_lost``: the provider does not get the response."""

    message: Message
    variant: Variant = Variant.SAME
    is_lost: bool = False


# -- requests ------------------------------------------------------------------------------------------------


def request_of(provider: str, arrivals: Sequence[Arrival], now: datetime) -> InboundRequest:
    """Return the request that brings ``arrivals``; several only where the provider sends arrays."""
    if provider == "twilio":
        return _twilio(arrivals[0], now)
    if provider == "kannel":
        return _kannel(arrivals[0], now)
    return _alibaba(arrivals, now)


def _sid(message: Message) -> str:
    return "SM" + sha256(str(message.number).encode()).hexdigest()[:32]


def twilio_request(
    message: Message,
    now: datetime,
    *,
    options: TwilioOptions = TWILIO,
    public_url: str = PUBLIC_URL,
    text: str,
) -> InboundRequest:
    _, headers, body = signed_webhook(
        options, public_url, sender=message.sender, ours=message.ours, text=text, message_sid=_sid(message)
    )
    return InboundRequest(
        method="POST",
        route="/channels/sms/twilio",
        path="/channels/sms/twilio",
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        remote="198.51.100.7",
        received_at=now,
    )


def _twilio(arrival: Arrival, now: datetime) -> InboundRequest:
    message, options = arrival.message, TWILIO
    if arrival.variant is Variant.OTHER_TOKEN:
        options = replace(TWILIO, auth_tokens=TWILIO.auth_tokens[::-1])
    text = message.other_text if arrival.variant is Variant.OTHER_TEXT else message.text
    return twilio_request(message, now, options=options, text=text)


def _kannel(arrival: Arrival, now: datetime) -> InboundRequest:
    message = arrival.message
    suffix = "again" if arrival.variant is Variant.OTHER_ID else "first"
    return InboundRequest(
        method="GET",
        route=_KANNEL_ROUTE,
        path=_KANNEL_ROUTE.format(secret=PATH_SECRET),
        parts={"secret": PATH_SECRET},
        query={
            "from": message.sender,
            "to": message.ours,
            "text": message.text,
            "id": f"{message.number:08d}-{suffix}",
            "ts": f"{message.sent_at:%Y-%m-%d %H:%M:%S}",
        },
        remote=_LOOPBACK,
        received_at=now,
    )


def _alibaba(arrivals: Sequence[Arrival], now: datetime) -> InboundRequest:
    items: list[object] = [
        {
            "phone_number": arrival.message.sender.removeprefix("+86"),
            "content": arrival.message.text,
            "sign_name": "验真",
            "dest_code": arrival.message.ours,
            "send_time": f"{arrival.message.sent_at.astimezone(_HOME):%Y-%m-%d %H:%M:%S}",
            "sequence_id": index,
        }
        for index, arrival in enumerate(arrivals, start=1)
    ]
    if arrivals[0].message.number % 5 == 0:
        items.insert(len(items) // 2, {"phone_number": None, "content": "坏了"})
    return InboundRequest(
        method="POST",
        route=_GATEWAY_ROUTE,
        path=_GATEWAY_ROUTE.format(secret=PATH_SECRET),
        parts={"secret": PATH_SECRET},
        headers={"content-type": "application/json"},
        body=orjson.dumps(items),
        remote=_LOOPBACK,
        received_at=now,
    )


def deliver_sm_of(message: Message) -> DeliverSm:
    """Return the unit by which a message centre delivers a text, in UCS-2."""
    return DeliverSm(
        source=message.sender.removeprefix("+"),
        source_ton=1,
        destination=message.ours,
        destination_ton=0,
        esm_class=0,
        data_coding=8,
        user_data=message.text.encode("utf-16-be"),
        tlvs={},
    )


def link_request(message: Message, now: datetime, *, token: str = LINK_TOKEN) -> InboundRequest:
    """Return what the link would make of a delivery, under any token."""
    headers = {
        "kind": "text",
        "from": message.sender,
        "to": message.ours,
        "message-id": f"forged-{message.number}",
        "link": token,
    }
    return InboundRequest(
        method="DELIVER",
        route="smpp",
        path="smpp",
        headers=headers,
        body=message.text.encode(),
        received_at=now,
    )


def said_in(provider: str, response: OutboundResponse) -> str:
    """Return the text that a provider finds in a response of status 200."""
    if provider == "twilio":
        return read_reply(response.body)
    return response.body.decode() if provider == "kannel" else ""


def callback(reply_id: ReplyId, sid: str, status: str, now: datetime) -> InboundRequest:
    """Return the signed request by which Twilio reports a delivery."""
    body = urlencode({"MessageSid": sid, "MessageStatus": status}).encode()
    path = _CALLBACK_ROUTE.format(reply=reply_id)
    signature = Signatures(TWILIO.auth_tokens, PUBLIC_URL).sign(path, parse_form(body))
    return InboundRequest(
        method="POST",
        route=_CALLBACK_ROUTE,
        path=path,
        parts={"reply": str(reply_id)},
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "x-twilio-signature": signature,
        },
        body=body,
        remote="198.51.100.7",
        received_at=now,
    )


# -- the ways out --------------------------------------------------------------------------------------------


class MobileNetwork:
    """What the providers were handed and brought to telephones; ``by_number`` finds a message by the number texted."""

    def __init__(self) -> None:
        self.by_number: dict[str, Message] = {}
        self.strays: list[OutgoingText] = []
        self.reports: deque[tuple[ReplyId, str, str]] = deque()
        self.reported: dict[ReplyId, str] = {}
        self.seen: Counter[str] = Counter()
        self.gate = asyncio.Event()  # shut while replies are to be caught on their way
        self.gate.set()
        self.waiting_at_gate = 0
        self.crowd_at_gate = asyncio.Event()
        self._sids: dict[Message, list[str]] = {}

    def add(self, message: Message) -> None:
        self.by_number[message.ours] = message

    def ways(self, life: ServiceLife) -> Mapping[str, Sender]:
        return {name: _Way(name, self, life) for name in ("twilio", "kannel", "smpp")}

    async def take(self, way: str, text: OutgoingText) -> Accepted | Deferred | Unknown:
        """Take one text, by the fate of its message."""
        message = self.by_number.get(text.address.ours)
        if message is None or message.sender != text.address.recipient:
            self.strays.append(text)
            return Unknown(why="whose_is_it")
        message.tries += 1
        fate = message.fate if message.tries == 1 else Fate.TAKEN
        self.seen[fate] += 1
        if fate is Fate.NOT_NOW:
            return Deferred(why="too_many", after_s=3.0)
        if fate is Fate.LOST:
            return Unknown(why="no_answer_in_time")
        message.pushed.append(text.text)
        sids = self._sids.setdefault(message, [])
        sid = f"{_sid(message)[:-1]}{len(sids)}"
        sids.append(sid)
        if way == "twilio" and message.number % 3 == 0:
            self._report(text.reply_id, sid)
        if not self.gate.is_set():
            await self._wait_at_gate()
        if fate is not Fate.TAKEN:
            return Unknown(why="answer_lost")
        return Accepted(provider_id=sid)

    def find(self, message: Message) -> list[str] | None:
        """Return the ids the provider lists for a message; None where it cannot say."""
        if message.fate is Fate.TAKEN_UNLISTED:
            return None
        return self._sids.get(message, [])

    def _report(self, reply_id: ReplyId, sid: str) -> None:
        """Reports overtake each other and come twice."""
        self.reports.extend((reply_id, sid, status) for status in ("delivered", "sent", "delivered"))
        self.reported[reply_id] = sid

    async def _wait_at_gate(self) -> None:
        self.waiting_at_gate += 1
        if self.waiting_at_gate >= 8:
            self.crowd_at_gate.set()
        await self.gate.wait()


class _Way:
    """A way out that belongs to one life of the service: what a killed service would still send goes nowhere."""

    def __init__(self, name: str, network: MobileNetwork, life: ServiceLife) -> None:
        self.name = name
        self._network = network
        self._life = life

    async def send(self, text: OutgoingText) -> Accepted | Rejected | Deferred | Unknown:
        if self._life.is_over:
            return Unknown(why="killed")
        return await self._network.take(self.name, text)

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Accepted | NotSent | Unknown:
        message = self._network.by_number[text.address.ours]
        listed = self._network.find(message) if self.name == "twilio" else None
        if listed is None:
            return Unknown(why="cannot_be_asked")
        taken = await known_ids(listed)
        free = [sid for sid in listed if sid not in taken]
        return Accepted(provider_id=free[0]) if free else NotSent()

    async def close(self) -> None:
        """Nothing is open."""


def moment_of(number: int, start: datetime) -> datetime:
    """Return when a message was written: whole seconds, no two messages of one sender in the same one."""
    return start - timedelta(hours=30) + timedelta(seconds=number)
