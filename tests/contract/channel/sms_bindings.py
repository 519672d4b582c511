"""How texts look from each provider, for the contract suite of channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import orjson

from channels.base import ChannelAdapter, ChannelContext, InboundRequest
from channels.sms.adapter import SmsAdapter
from channels.sms.dialect import Dialect
from channels.sms.gateway.dialect import load_gateways
from channels.sms.kannel.dialect import KannelDialect
from channels.sms.settings import GatewayOptions, KannelOptions, SmppOptions, TwilioOptions
from channels.sms.smpp.dialect import SmppDialect
from channels.sms.twilio.dialect import TwilioDialect
from channels.sms.twilio.simulate import read_reply, signed_webhook
from channels.turns import Turn
from channels.wording.reply import Reply
from tests.contract.channel.suite import Traits
from tests.fakes.clock import START
from tests.fakes.sample_service import PUBLIC_URL

NUMBER = "+8613912345678"
OURS = "95001"
TOKEN = "0123456789abcdef0123456789abcdef"
SECRET = "kannel-path-secret"


def said(text: str, locale: str) -> str:
    """Return a text in the language of ``locale``, as people write around a code."""
    return f"Please check {text}" if locale == "en" else text


def request(method: str, route: str, **parts: object) -> InboundRequest:
    """Return a request from this machine."""
    fields: dict[str, object] = {"path": route, "remote": "127.0.0.1", "received_at": START, **parts}
    return InboundRequest(method=method, route=route, **fields)  # type: ignore[arg-type]


class SmsBinding(ABC):
    """What the providers have in common."""

    secrets: tuple[str, ...] = (NUMBER, NUMBER.removeprefix("+86"), TOKEN, SECRET)
    traits = Traits(pushes=True)

    @abstractmethod
    def dialect(self, context: ChannelContext) -> Dialect:
        """Return the provider's dialect, set up to push."""

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        return SmsAdapter(self.dialect(context), context)

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        return ()

    def meaning(self, reply: Reply) -> str:
        return reply.short


class TwilioBinding(SmsBinding):
    """Signed webhooks; the reply is TwiML."""

    traits = Traits(pushes=True, trusted_ids=True)
    options = TwilioOptions(auth_tokens=(TOKEN, "f" * 32), account_sid="AC" + "1" * 32)

    def dialect(self, context: ChannelContext) -> Dialect:
        return TwilioDialect(self.options, context.public_url)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        return self._signed(self.options, said(text, locale), message)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        good = self._signed(self.options, text, "message-1")
        stranger = TwilioOptions(auth_tokens=("0" * 32,))
        unsigned = {name: value for name, value in good.headers.items() if name != "x-twilio-signature"}
        return (
            self._signed(stranger, text, "message-1"),
            self._signed(self.options, text, "message-1", public_url="https://elsewhere.example"),
            self._signed(self.options, text, "message-1", public_url=PUBLIC_URL.replace("https:", "http:")),
            replace(good, headers=unsigned),
            replace(good, headers={**good.headers, "x-twilio-signature": ""}),
            replace(good, body=good.body + b"&NumMedia=1"),
            replace(good, path="/channels/sms/twilio/"),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        good = self._signed(self.options, text, "message-1")
        return (
            self._signed(self.options, text, "message-1", sid="not-an-id"),
            replace(good, headers={**good.headers, "content-type": "application/json"}),
        )

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        from channels.signatures import parse_form
        from channels.sms.twilio.signing import Signatures

        body = urlencode({"MessageSid": "SM" + "2" * 32, "MessageStatus": "delivered", "Body": text}).encode()
        path = "/channels/sms/twilio/delivery/7"
        signature = Signatures(self.options.auth_tokens, PUBLIC_URL).sign(path, parse_form(body))
        headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
        route = "/channels/sms/twilio/delivery/{reply}"
        return (request("POST", route, path=path, parts={"reply": "7"}, headers=headers, body=body),)

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        return read_reply(adapter.encode(self.ask("1"), turn, reply).body)

    def _signed(
        self,
        options: TwilioOptions,
        text: str,
        message: str,
        *,
        public_url: str = PUBLIC_URL,
        sid: str = "",
    ) -> InboundRequest:
        _, headers, body = signed_webhook(
            options,
            public_url,
            sender=NUMBER,
            ours=OURS,
            text=text,
            message_sid=sid or "SM" + sha256(message.encode()).hexdigest()[:32],
        )
        lower = {name.lower(): value for name, value in headers.items()}
        return request("POST", "/channels/sms/twilio", headers=lower, body=body)


class KannelBinding(SmsBinding):
    """A get-url with a secret path; the reply is plain text."""

    traits = Traits(pushes=True, trusted_ids=True)

    def dialect(self, context: ChannelContext) -> Dialect:
        options = KannelOptions(
            secrets=(SECRET, "another"), send_url="http://127.0.0.1:13013/cgi-bin/sendsms"
        )
        return KannelDialect(options, calls=context.calls, public_url=context.public_url)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        return self._get(text=said(text, locale), id=message)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        good = self._get(text=text, id="message-1")
        return (
            replace(good, parts={"secret": "wrong"}),
            replace(good, parts={"secret": ""}),
            replace(good, parts={"secret": SECRET + "x"}),
            replace(good, remote="192.0.2.7"),
            replace(good, remote=""),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        return (request("GET", self._route, parts={"secret": SECRET}, query={"text": text, "id": "m"}),)

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        route = f"{self._route}/delivered/{{reply}}"
        parts = {"secret": SECRET, "reply": "7"}
        return (request("GET", route, parts=parts, query={"status": "1", "text": text}),)

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        return adapter.encode(self.ask("1"), turn, reply).body.decode()

    _route = "/channels/sms/kannel/{secret}"

    def _get(self, **query: str) -> InboundRequest:
        fields = {"from": NUMBER, "to": OURS, "coding": "0", "charset": "UTF-8", **query}
        return request("GET", self._route, parts={"secret": SECRET}, query=fields)


class GatewayBinding(SmsBinding):
    """An unsigned callback with an array of texts; every reply is pushed by another provider."""

    traits = Traits(pushes=True, in_band=False)
    _route = "/channels/sms/gateway/alibaba/{secret}"

    def dialect(self, context: ChannelContext) -> Dialect:
        options = GatewayOptions(files=("alibaba",), secrets=(SECRET,), reply_by="kannel")
        (dialect,) = load_gateways(options, calls=context.calls)
        return cast(Dialect, dialect)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        sent_at = START.astimezone(ZoneInfo("Asia/Shanghai")) - timedelta(
            seconds=int(sha256(message.encode()).hexdigest(), 16) % 600
        )
        item = {
            "phone_number": NUMBER.removeprefix("+86"),
            "content": said(text, locale),
            "sign_name": "验真",
            "dest_code": OURS,
            "send_time": f"{sent_at:%Y-%m-%d %H:%M:%S}",
            "sequence_id": 1,
        }
        return self._post(orjson.dumps([item]))

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        good = self.ask(text)
        return (replace(good, parts={"secret": "wrong"}), replace(good, remote="192.0.2.7"))

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        return (
            self._post(f'[{{"content": "{text}"'.encode()),
            self._post(f'"{text}"'.encode()),
            self._post(b"\xff\xfe" + text.encode()),
            self._post(b""),
        )

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        answer = adapter.encode(self.ask("1"), turn, reply)
        assert orjson.loads(answer.body)["code"] == 0
        return reply.short  # what is put into the outbox

    def _post(self, body: bytes) -> InboundRequest:
        headers = {"content-type": "application/json"}
        return request("POST", self._route, parts={"secret": SECRET}, headers=headers, body=body)


class SmppBinding(SmsBinding):
    """What the link to a message centre brings; every reply is pushed by the same link."""

    traits = Traits(pushes=True, in_band=False, trusted_ids=True, worded_errors=False)

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        return SmsAdapter(self.dialect(context), context)

    def dialect(self, context: ChannelContext) -> Dialect:
        options = SmppOptions(host="127.0.0.1", port=2775, system_id="yanzhen", password="secret")
        return SmppDialect(options, clock=context.clock, token=TOKEN)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        return self._bring(said(text, locale).encode(), message, link=TOKEN)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        body = text.encode()
        return (self._bring(body, "m", link=""), self._bring(body, "m", link="0" * 32))

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        return (
            request("DELIVER", "smpp", headers={"link": TOKEN, "kind": "riddle"}, body=text.encode()),
            self._bring(b"\xff" + text.encode(), "m", link=TOKEN),
        )

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        assert adapter.encode(self.ask("1"), turn, reply).status == 200
        return reply.short  # what is put into the outbox

    def _bring(self, body: bytes, message: str, *, link: str) -> InboundRequest:
        headers = {"kind": "text", "from": NUMBER, "to": OURS, "message-id": message, "link": link}
        return request("DELIVER", "smpp", headers=headers, body=body)
