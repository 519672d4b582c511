"""One question about one code, as each channel brings it; serial numbers make callers and messages different."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Address
from typing import Final
from urllib.parse import urlencode

from channels.base import InboundRequest
from channels.ivr.settings import TwilioVoiceOptions
from channels.ivr.states import State, StateName
from channels.ivr.twilio.simulate import signed_webhook as call_webhook
from channels.ivr.twilio.webhooks import TURNS
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.dialect import MESSAGES
from channels.sms.twilio.simulate import signed_webhook as text_webhook
from channels.wechat.settings import Account, AccountKind
from channels.wechat.simulate import signed_webhook as chat_webhook
from channels.wechat.simulate import text_message
from tests.proof.timing.site import (
    CHAT_APP,
    CHAT_KEY,
    CHAT_TOKEN,
    LENGTH,
    PHONE_TOKEN,
    PUBLIC_URL,
    Service,
)

_TEXTS: Final = TwilioOptions(auth_tokens=(PHONE_TOKEN,))
_CALLS: Final = TwilioVoiceOptions(auth_tokens=(PHONE_TOKEN,))
ACCOUNT: Final = Account(
    name="official_account",
    kind=AccountKind.OFFICIAL_ACCOUNT,
    tokens=(CHAT_TOKEN,),
    app_id=CHAT_APP,
    aes_keys=(CHAT_KEY,),
)
_OURS: Final = "+861069000001"
_NETWORK: Final = int(IPv4Address("10.0.0.0"))  # everybody has an address of their own
_FIRST_ID: Final = 23_000_000_000_000_000

Question = Callable[[Service, str, int], InboundRequest]


def _hash(kind: str, serial: int) -> bytes:
    return sha256(f"{kind} {serial}".encode()).digest()


def _secret(kind: str, serial: int) -> str:
    return urlsafe_b64encode(_hash(kind, serial)[:16]).rstrip(b"=").decode()


def _number(serial: int) -> str:
    return f"+86139{serial * 7919 % 10**8:08d}"


def _address(serial: int) -> str:
    return str(IPv4Address(_NETWORK + serial % 2**24))


def _request(
    path: str, headers: Mapping[str, str], body: bytes, at: datetime, **more: object
) -> InboundRequest:
    fields: dict[str, object] = {"route": path, "path": path, "remote": "203.0.113.7", **more}
    lower = {name.lower(): value for name, value in headers.items()}
    return InboundRequest(method="POST", headers=lower, body=body, received_at=at, **fields)  # type: ignore[arg-type]


def by_api(service: Service, code: str, serial: int) -> InboundRequest:
    """The JSON API, without a key: the shortest path there is, so the one that tells most."""
    body = json.dumps({"code": code}).encode()
    headers = {"content-type": "application/json"}
    return _request("/api/v1/verifications", headers, body, service.clock.now(), remote=_address(serial))


def by_page(service: Service, code: str, serial: int) -> InboundRequest:
    """The form of the website, from a browser with its cookie."""
    body = urlencode({"code": code, "nonce": _secret("nonce", serial)}).encode()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "cookie": f"__Host-yz_caller={_secret('caller', serial)}",
        "sec-fetch-site": "same-origin",
        "accept-language": "zh-CN",
    }
    return _request("/verify", headers, body, service.clock.now(), remote=_address(serial))


def by_text(service: Service, code: str, serial: int) -> InboundRequest:
    """A text message."""
    _, headers, body = text_webhook(
        _TEXTS,
        PUBLIC_URL,
        sender=_number(serial),
        ours=_OURS,
        text=code,
        message_sid="SM" + _hash("sms", serial).hex()[:32],
    )
    return _request(MESSAGES.path, headers, body, service.clock.now())


def by_call(service: Service, code: str, serial: int) -> InboundRequest:
    """The turn of a call in which the code is keyed in."""
    sid = "CA" + _hash("call", serial).hex()[:32]
    identities = service.adapters["ivr"]._identities  # type: ignore[attr-defined]
    token = identities.seal_state(State(name=StateName.ENTRY).to_bytes(), about=f"twilio/{sid}")
    parts = {"most": str(LENGTH), "state": token}
    path = TURNS.path.format(**parts)
    keyed = {"Digits": code, "FinishedOnKey": "", "msg": "Gather End"}
    _, headers, body = call_webhook(
        _CALLS, PUBLIC_URL, path, call_sid=sid, caller=_number(serial), ours=_OURS, fields=keyed
    )
    return _request(path, headers, body, service.clock.now(), route=TURNS.path, parts=parts)


def by_chat(service: Service, code: str, serial: int) -> InboundRequest:
    """A message to the official account on WeChat."""
    now = service.clock.now()
    sent_at = int(now.timestamp())
    webhook = chat_webhook(
        ACCOUNT,
        text_message(
            code,
            openid=f"o6_bmjrPTlm6_2sgVt7h{serial:08d}",
            message_id=_FIRST_ID + serial,
            created_at=sent_at,
        ),
        sent_at=sent_at,
        nonce=f"{serial:010d}",
    )
    return _request(ACCOUNT.path, webhook.headers, webhook.body, now, query=webhook.query)


QUESTIONS: Final[Mapping[str, Question]] = {
    "api": by_api,
    "web": by_page,
    "sms": by_text,
    "ivr": by_call,
    "wechat": by_chat,
}
