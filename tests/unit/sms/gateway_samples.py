"""Described gateways for the tests: options, requests, and a description with every part that a test changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from channels.base import InboundRequest
from channels.sms.gateway.dialect import GatewayDialect, load_gateways
from channels.sms.settings import GatewayOptions
from tests.fakes.clock import START
from tests.fakes.fake_calls import FakeCalls

FIXTURES = Path(__file__).parent / "fixtures"
SECRET, OLD_SECRET = "s3cret-of-the-gateway", "s3cret-of-last-month"
REMOTE = "198.51.100.7"

SENDING = """
name = "harbour"
[request]
body = "json_object"
[fields]
sender = "from"
text = "body"
ours = "to"
[id]
field = "id"
unique = true
[time]
field = "at"
format = "unix_milliseconds"
[success]
body = "OK"
[failure]
status = 503
body = "AGAIN"
[send]
url = "https://sms.example.cn/v1/{account}/send"
drop_prefixes = ["+86", "+"]
[send.headers]
Authorization = "Bearer {apikey}"
[send.fields]
mobile = ["{to}"]
content = "{text}"
sender = "{ours}"
report = false
extra = { key = "{apikey}", reference = "r-{reply_id}" }
[send.accepted]
path = "code"
equals = 0
later = [12, "busy"]
id_path = "data.0.msgid"
"""
CREDENTIALS = (("account", "a/b"), ("apikey", 'k"ey'))


def options(*files: str, **other: Any) -> GatewayOptions:
    given: dict[str, Any] = {
        "secrets": (SECRET, OLD_SECRET),
        "allow_from": (ip_network("198.51.100.0/24"),),
        "reply_by": "kannel",
        **other,
    }
    return GatewayOptions(files=files, **given)


def shipped(name: str) -> GatewayDialect:
    (dialect,) = load_gateways(options(name), calls=FakeCalls())
    return dialect


def described(folder: Path, text: str, *, calls: FakeCalls | None = None, **other: Any) -> GatewayDialect:
    path = folder / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    (dialect,) = load_gateways(options(str(path), **other), calls=calls or FakeCalls())
    return dialect


def request(
    body: object, *, secret: str = SECRET, remote: str = REMOTE, received_at: datetime = START
) -> InboundRequest:
    return InboundRequest(
        method="POST",
        route="/channels/sms/gateway/some/{secret}",
        path=f"/channels/sms/gateway/some/{secret}",
        parts={"secret": secret},
        body=body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode(),
        remote=remote,
        received_at=received_at,
    )


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_bytes())


def alibaba_item(**changes: object) -> Mapping[str, object]:
    return {**fixture("alibaba_smsup")[0], **changes}
