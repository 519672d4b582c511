"""How each channel's requests and answers look, for the contract suite. A new channel adds one class and one line."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from urllib.parse import quote_plus

import orjson

from app.core.model.verdict import Verdict, VerificationId
from app.core.model.verification import Record, Verification
from channels.base import ChannelAdapter, ChannelContext, InboundRequest
from channels.turns import RecordOpened, Turn
from channels.web.api import ApiAdapter
from channels.web.pages import WebAdapter
from channels.web.settings import WebOptions
from channels.wording.reply import Reply
from tests.contract.channel.fastagi_binding import FastAgiBinding
from tests.contract.channel.ivr_bindings import TwilioVoiceBinding
from tests.contract.channel.mini_program_api_binding import MiniProgramApiBinding
from tests.contract.channel.sms_bindings import GatewayBinding, KannelBinding, SmppBinding, TwilioBinding
from tests.contract.channel.suite import ChannelBinding, Traits
from tests.contract.channel.toy_channel.adapter import SECRET, ToyAdapter
from tests.contract.channel.wechat_bindings import (
    MiniProgramJsonBinding,
    MiniProgramXmlBinding,
    OfficialCompatibleBinding,
    OfficialEncryptedBinding,
    OfficialPlainBinding,
)
from tests.fakes.clock import START
from tests.fakes.sample_service import PUBLIC_URL

COOKIE = "Y2FsbGVyLWNvb2tpZS0tLQ"
NONCE = "bm9uY2Utb2YtdGhlLXBhZw"


def _request(method: str, route: str, *, body: bytes = b"", **headers: str) -> InboundRequest:
    return InboundRequest(
        method=method,
        route=route,
        path=route,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body,
        remote="192.0.2.7",
        received_at=START,
    )


def nonce_of(message: str) -> str:
    """Return the page nonce that stands for a message."""
    return sha256(message.encode()).hexdigest()[:22]


def record_of(verdict: Verdict, *, asked_by_reader: bool = True) -> Record:
    """Return the record that a recorded verdict is read back as."""
    assert verdict.recorded_at is not None
    return Record(
        verification=Verification(
            id=verdict.verification_id or VerificationId(1),
            recorded_at=verdict.recorded_at,
            channel="web",
            outcome=verdict.outcome,
            ordinal=verdict.ordinal,
        ),
        announced=verdict.outcome,
        asked_by_reader=asked_by_reader,
        label=verdict.label,
        ordinal=verdict.ordinal,
        first=verdict.first,
        own_first_at=verdict.own_first_at,
        reasons=verdict.reasons,
    )


def with_work(context: ChannelContext) -> ChannelContext:
    """Return the context of a service that offers work to whoever is over a limit."""
    return replace(context, settings={**context.settings, "web": WebOptions(proof_rounds=1)})


class WebBinding:
    """The website: the form, its nonce and the visitor's cookie."""

    secrets = (COOKIE, NONCE)
    traits = Traits()
    _form = "application/x-www-form-urlencoded"

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        return WebAdapter(with_work(context), nonces=lambda: NONCE, secrets=lambda: COOKIE)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        body = f"code={quote_plus(text)}&nonce={nonce_of(message)}&lang={locale}".encode()
        return self._post(body, origin=PUBLIC_URL)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        body = self.ask(text).body
        return (
            self._post(body, origin="https://elsewhere.example"),
            self._post(body, origin="null", sec_fetch_site="cross-site"),
            self._post(body, sec_fetch_site="same-site"),
            self._post(body, origin=f"{PUBLIC_URL}.elsewhere.example", sec_fetch_site="same-origin"),
            _request("POST", "/verify", body=body, content_type=self._form, origin="null"),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        return (
            self._post(f"code={text}%ff%fe".encode()),
            self._post(b"code=\xff\xfe" + text.encode()),
            self._post("&".join(f"code{n}={text}" for n in range(50)).encode()),
            _request(
                "POST", "/verify", body=f'{{"code": "{text}"}}'.encode(), content_type="application/json"
            ),
            _request("POST", "/verify", body=text.encode()),
        )

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        parts: Mapping[str, Mapping[str, str]] = {
            "/": {},
            "/q/{digits}": {"digits": text},
            "/01/{gtin}/21/{digits}": {"gtin": "06901234567892", "digits": text},
            "/r/{result}": {"result": "x" * 22},
            "/challenge": {},
        }
        return tuple(
            InboundRequest(
                method="GET", route=route, path="/", parts=named, remote="192.0.2.7", received_at=START
            )
            for route, named in parts.items()
        )

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        answer = adapter.encode(self.ask("1"), turn, reply)
        if answer.status != 303:
            return html.unescape(answer.body.decode())
        recorded_at = reply.verdict.recorded_at
        assert recorded_at is not None
        opened = InboundRequest(method="GET", route="/r/{result}", path="/r/x", received_at=recorded_at)
        read = RecordOpened(
            verification_id=VerificationId(1),
            reader=turn.request.caller,  # type: ignore[union-attr]
            locale=reply.locale,
        )
        return html.unescape(adapter.encode(opened, read, None, record_of(reply.verdict)).body.decode())

    def meaning(self, reply: Reply) -> str:
        return reply.message

    def _post(self, body: bytes, **headers: str) -> InboundRequest:
        return _request(
            "POST",
            "/verify",
            body=body,
            content_type=self._form,
            cookie=f"__Host-yz_caller={COOKIE}",
            **headers,
        )


class ApiBinding:
    """The JSON API: a body, an idempotency key and, from a browser, the visitor's cookie."""

    secrets = (COOKIE,)
    traits = Traits()

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        return ApiAdapter(with_work(context))

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        return self._post(orjson.dumps({"code": text, "locale": locale}), idempotency_key=message)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        body = self.ask(text).body
        return (
            self._post(body, origin="https://elsewhere.example"),
            self._post(body, sec_fetch_site="cross-site"),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        bodies = (
            f'{{"code": "{text}"'.encode(),
            f'["{text}"]'.encode(),
            b'{"code": "\xff' + text.encode() + b'"}',
            b"",
            b"{}",
            b'{"code": 12345678901234567890}',
            b'{"code": null}',
            f'{{"code": "{text}", "locale": 7}}'.encode(),
            f'{{"code": "{text}", "entry": "guessed"}}'.encode(),
        )
        return (
            *(self._post(body) for body in bodies),
            _request(
                "POST", "/api/v1/verifications", body=f"code={text}".encode(), content_type="text/plain"
            ),
            self._post(self.ask(text).body, idempotency_key="k" * 256),
        )

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        return (_request("GET", "/api/v1/challenge", proof_of_work=text),)

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        body = orjson.loads(adapter.encode(self.ask("1"), turn, reply).body)
        return f"{body['outcome']} {body.get('message') or body['detail']}"

    def meaning(self, reply: Reply) -> str:
        return f"{reply.verdict.outcome.value} {reply.message}"

    def _post(self, body: bytes, **headers: str) -> InboundRequest:
        return _request(
            "POST",
            "/api/v1/verifications",
            body=body,
            content_type="application/json",
            cookie=f"__Host-yz_caller={COOKIE}",
            **headers,
        )


class ToyBinding:
    """The example channel."""

    secrets = (SECRET, "8613800138000")
    traits = Traits()

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        return ToyAdapter(context)

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        body = f"8613800138000\n{message}\n{text}".encode()
        return _request("POST", "/toy", body=body, x_toy_secret=SECRET, x_toy_locale=locale)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        body = self.ask(text).body
        return (
            _request("POST", "/toy", body=body),
            _request("POST", "/toy", body=body, x_toy_secret="wrong"),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        return (_request("POST", "/toy", body=text.encode(), x_toy_secret=SECRET),)

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        return ()

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        return adapter.encode(self.ask("1"), turn, reply).body.decode()

    def meaning(self, reply: Reply) -> str:
        return reply.short


BINDINGS: dict[str, tuple[type[ChannelBinding], ...]] = {
    "web": (WebBinding,),
    "api": (ApiBinding,),
    "ivr": (TwilioVoiceBinding, FastAgiBinding),
    "sms": (TwilioBinding, KannelBinding, GatewayBinding, SmppBinding),
    "wechat": (
        OfficialEncryptedBinding,
        OfficialCompatibleBinding,
        OfficialPlainBinding,
        MiniProgramXmlBinding,
        MiniProgramJsonBinding,
        MiniProgramApiBinding,
    ),
}
