"""Texts as each provider brings them, made before any clock runs: a code in a Chinese sentence, a new number a text."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from app.adapters.cache.memory import MemoryCache
from app.adapters.clock import SystemClock
from app.adapters.http import AiohttpCalls
from app.adapters.identities import KeyedIdentities
from app.adapters.places import PhoneNumberPlaces
from channels.abilities import MessageChannel
from channels.base import ChannelContext, InboundRequest
from channels.signatures import parse_form
from channels.sms.adapter import SmsAdapter
from channels.sms.dialect import Dialect
from channels.sms.gateway.dialect import load_gateways
from channels.sms.kannel.dialect import KannelDialect
from channels.sms.settings import GatewayOptions, KannelOptions, SmppOptions, TwilioOptions
from channels.sms.smpp.arrivals import Arrivals
from channels.sms.smpp.bringing import Bringing
from channels.sms.smpp.dialect import SmppDialect
from channels.sms.smpp.session import Pace
from channels.sms.twilio.dialect import TwilioDialect
from channels.sms.twilio.signing import Signatures
from channels.wording.reply import Wording
from tests.bench.wechat_samples import ACCOUNTS, wechat_adapters, wechat_request

BATCH: Final = 50
PROVIDERS: Final = ("twilio", "kannel", "gateway", "smpp", *ACCOUNTS)
TIMEZONE: Final = "Asia/Shanghai"
_PUBLIC_URL: Final = "https://verify.example"
_TOKEN: Final = "0123456789abcdef" * 2
_SECRET: Final = "path-secret-of-the-bench"
_OURS: Final = "95001"
_TWILIO: Final = TwilioOptions(auth_tokens=(_TOKEN,), account_sid="AC" + "1" * 32)
_KANNEL: Final = KannelOptions(secrets=(_SECRET,), send_url="http://127.0.0.1:13013/cgi-bin/sendsms")
_GATEWAY: Final = GatewayOptions(files=("alibaba",), secrets=(_SECRET,), reply_by="kannel")
_SMPP: Final = SmppOptions(host="127.0.0.1", port=2775, system_id="bench", password="bench")
# what Twilio sends beside the fields that are read here; its signature covers them as well
_FURTHER_FIELDS: Final = {
    "AccountSid": "AC" + "1" * 32,
    "ApiVersion": "2010-04-01",
    "FromCity": "",
    "FromCountry": "CN",
    "FromState": "Beijing",
    "FromZip": "",
    "MessagingServiceSid": "MG" + "2" * 32,
    "NumMedia": "0",
    "NumSegments": "1",
    "SmsStatus": "received",
    "ToCity": "",
    "ToCountry": "CN",
    "ToState": "",
    "ToZip": "",
}

Arrived = InboundRequest | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One text: ``number`` is that of a mobile telephone without its country's code, ``serial`` tells texts apart."""

    text: str
    number: str
    serial: int


def context_of(identities: KeyedIdentities, lengths: Callable[[], frozenset[int]]) -> ChannelContext:
    """Return what adapters are made with, the table of places read."""
    places = PhoneNumberPlaces()
    places.load()
    signatures = {"zh-CN": "验真", "en": "Yanzhen"}
    clock = SystemClock()
    return ChannelContext(
        wording=Wording.load(TIMEZONE, site="verify.example", signatures=signatures),
        identities=identities,
        clock=clock,
        public_url=_PUBLIC_URL,
        timezone=TIMEZONE,
        lengths=lengths,
        issued_lengths=lengths,
        places=places,
        calls=AiohttpCalls(),  # opens nothing before its first call
        cache=MemoryCache(clock),
    )


def provider_adapters(context: ChannelContext) -> dict[str, MessageChannel]:
    """Return the real adapter of each of :data:`PROVIDERS`, set up to push."""
    (gateway,) = load_gateways(_GATEWAY, calls=context.calls)
    dialects: dict[str, Dialect] = {
        "twilio": TwilioDialect(_TWILIO, context.public_url),
        "kannel": KannelDialect(_KANNEL, calls=context.calls, public_url=context.public_url),
        "gateway": gateway,
        "smpp": SmppDialect(_SMPP, clock=context.clock, token=_TOKEN),
    }
    texts = {name: SmsAdapter(dialect, context) for name, dialect in dialects.items()}
    return {**texts, **wechat_adapters(context)}


def bringing_of(context: ChannelContext) -> Bringing:
    """Return what makes requests of units of SMPP, without a connection."""
    return Bringing(
        context.clock,
        token=_TOKEN,
        pace=Pace(),
        arrivals=Arrivals(context.clock),
        settling_s=lambda _: 0.0,
    )


def messages(codes: Sequence[str], start: int, count: int) -> list[Message]:
    """Return texts ``start`` to ``start + count``, going round in ``codes``; numbers repeat after 1e8."""
    return [
        Message(
            text=f"你好，请帮我查一下 {_grouped(codes[serial % len(codes)])} 谢谢",
            number=f"139{serial * 7919 % 10**8:08d}",
            serial=serial,
        )
        for serial in range(start, start + count)
    ]


def arrived(provider: str, texts: Sequence[Message]) -> list[Arrived]:
    """Return the texts as ``provider`` brings them: a request each, batches of 50, or units of SMPP."""
    if provider == "gateway":
        return [_gateway_batch(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
    if provider == "twilio":
        signatures = Signatures((_TOKEN,), _PUBLIC_URL)
        return [_twilio_request(text, signatures) for text in texts]
    if provider in ACCOUNTS:
        return [wechat_request(ACCOUNTS[provider], text.text, text.serial) for text in texts]
    if provider == "smpp":
        return [deliver_sm(text) for text in texts]
    return [_kannel_request(text) for text in texts]


def api_requests(codes: Sequence[str], start: int, count: int) -> list[Arrived]:
    """Return API verifications of the same codes as the HTTP rows send them."""
    headers = {"host": "127.0.0.1", "content-type": "application/json"}
    return [
        _request(
            "POST",
            "/api/v1/verifications",
            headers=headers,
            body=f'{{"code": "{codes[serial % len(codes)]}", "locale": "zh-CN"}}'.encode(),
        )
        for serial in range(start, start + count)
    ]


def deliver_sm(message: Message) -> bytes:
    """Return the body of a deliver_sm in UCS-2 (SMPP 3.4, 4.6.1)."""
    octets = message.text.encode("utf-16-be")
    head = b"\0\x01\x01" + f"86{message.number}".encode() + b"\0\x03\0" + _OURS.encode() + b"\0"
    return head + struct.pack("!BBBBBBBBBB", 0, 0, 0, 0, 0, 0, 0, 8, 0, len(octets)) + octets


def _grouped(code: str) -> str:
    return " ".join(code[at : at + 4] for at in range(0, len(code), 4))


def _request(method: str, route: str, **parts: object) -> InboundRequest:
    fields: dict[str, object] = {
        "path": route,
        "remote": "127.0.0.1",
        "received_at": datetime.now(UTC),
        **parts,
    }
    return InboundRequest(method=method, route=route, **fields)  # type: ignore[arg-type]


def _twilio_request(message: Message, signatures: Signatures) -> InboundRequest:
    sid = "SM" + sha256(str(message.serial).encode()).hexdigest()[:32]
    body = urlencode(
        {
            **_FURTHER_FIELDS,
            "Body": message.text,
            "From": f"+86{message.number}",
            "MessageSid": sid,
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "To": "+861069000001",
        }
    ).encode("ascii")
    path = "/channels/sms/twilio"
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-twilio-signature": signatures.sign(path, parse_form(body)),
        "i-twilio-idempotency-token": f"{sid[2:10]}-{sid[10:14]}-{sid[14:18]}-{sid[18:22]}-{sid[22:]}",
    }
    return _request("POST", path, headers=headers, body=body)


def _kannel_request(message: Message) -> InboundRequest:
    query = {
        "from": f"+86{message.number}",
        "to": _OURS,
        "text": message.text,
        "id": f"{message.serial:08x}-0000-4000-8000-000000000000",
        "ts": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        "coding": "2",
        "charset": "UTF-8",
    }
    return _request("GET", "/channels/sms/kannel/{secret}", parts={"secret": _SECRET}, query=query)


def _gateway_batch(texts: Sequence[Message]) -> InboundRequest:
    now = datetime.now(ZoneInfo(TIMEZONE))
    items = [
        {
            "phone_number": message.number,
            "content": message.text,
            "sign_name": "验真",
            "dest_code": _OURS,
            "send_time": f"{now - timedelta(seconds=message.serial % 600):%Y-%m-%d %H:%M:%S}",
            "sequence_id": message.serial,
        }
        for message in texts
    ]
    return _request(
        "POST",
        "/channels/sms/gateway/alibaba/{secret}",
        parts={"secret": _SECRET},
        headers={"content-type": "application/json"},
        body=json.dumps(items, ensure_ascii=False).encode(),
    )
