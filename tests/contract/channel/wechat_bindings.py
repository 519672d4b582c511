"""How messages look that WeChat brings, for the contract suite: one binding a mode and a kind of account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from channels.base import ChannelAdapter, ChannelContext, InboundRequest, OutboundResponse
from channels.turns import Turn
from channels.wechat.account import AccountAdapter
from channels.wechat.mini_program_push import MiniProgramAdapter
from channels.wechat.official_account import OfficialAccountAdapter
from channels.wechat.settings import Account, AccountKind, Mode
from channels.wechat.signatures import sign
from channels.wechat.simulate import (
    Message,
    Webhook,
    event,
    handshake,
    read_answer,
    signed_webhook,
    text_message,
)
from channels.wording.reply import Reply
from tests.contract.channel.sms_bindings import said
from tests.contract.channel.suite import Traits
from tests.fakes.clock import START
from tests.fakes.scripted_sender import ScriptedSender

OPENID = "oLVPpjqs9BhvzwPj5A-vTYAX3GLc"
TOKEN = "token-of-the-console"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OTHER_KEY = "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"
NONCE = "1320562132"
NOW = int(START.timestamp())

OFFICIAL = Account(
    name=AccountKind.OFFICIAL_ACCOUNT.value,
    kind=AccountKind.OFFICIAL_ACCOUNT,
    tokens=(TOKEN, "token-of-before"),
    app_id="wx5823bf96d3bd56c7",
    app_secret="secret-of-the-account",
    aes_keys=(KEY, OTHER_KEY),
)
MINI_PROGRAM = replace(OFFICIAL, name=AccountKind.MINI_PROGRAM.value, kind=AccountKind.MINI_PROGRAM)
PLAIN = replace(OFFICIAL, mode=Mode.PLAIN, aes_keys=())
COMPATIBLE = replace(OFFICIAL, mode=Mode.COMPATIBLE)


def number_of(message: str) -> int:
    """Return the MsgId that stands for a message."""
    return int(sha256(message.encode()).hexdigest(), 16) % 10**18


def delivery(account: Account, webhook: Webhook) -> InboundRequest:
    """Return the request that a webhook is."""
    return InboundRequest(
        method="POST",
        route=account.path,
        path=account.path,
        query=webhook.query,
        headers={name.lower(): value for name, value in webhook.headers.items()},
        body=webhook.body,
        remote="192.0.2.7",
        received_at=START,
    )


def brought(
    account: Account, message: Message, *, sent_at: int = NOW, nonce: str = NONCE, as_json: bool = False
) -> InboundRequest:
    """Return a message as the platform brings it."""
    webhook = signed_webhook(account, message, sent_at=sent_at, nonce=nonce, as_json=as_json)
    return delivery(account, webhook)


def checked(account: Account, query: Mapping[str, str]) -> InboundRequest:
    """Return the platform's check of the address."""
    path = account.path
    return InboundRequest(
        method="GET", route=path, path=path, query=query, remote="192.0.2.7", received_at=START
    )


class WechatBinding:
    """What the modes and the kinds of account have in common."""

    account = OFFICIAL
    as_json = False
    secrets: tuple[str, ...] = (OPENID, TOKEN, KEY, OTHER_KEY, "token-of-before", "secret-of-the-account")
    traits = Traits(pushes=True, trusted_ids=True, read=lambda answer: _read(OFFICIAL, answer))

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        return self.made(context)

    def made(self, context: ChannelContext) -> AccountAdapter:
        return OfficialAccountAdapter(self.account, context, (ScriptedSender(self.account.name),))

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        return self._brought(self._text(said(text, locale), message))

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        good = self._brought(self._text(text))
        stranger = replace(self.account, tokens=("another-token",))
        return (
            brought(stranger, self._text(text), as_json=self.as_json),
            self._brought(self._text(text), sent_at=NOW - 301),
            self._brought(self._text(text), sent_at=NOW + 301),
            replace(good, query={}),
            replace(good, query={**good.query, "timestamp": str(NOW - 1)}),
            replace(good, query={**good.query, "timestamp": "１７７２"}),
            replace(good, query={**good.query, "nonce": ""}),
            *self.forged_envelopes(text, good),
        )

    def forged_envelopes(self, text: str, good: InboundRequest) -> tuple[InboundRequest, ...]:
        unsigned = {name: value for name, value in good.query.items() if name != "msg_signature"}
        downgraded = {name: value for name, value in unsigned.items() if name != "encrypt_type"}
        plain = brought(replace(self.account, mode=Mode.PLAIN), self._text(text), as_json=self.as_json)
        elsewhere = replace(self.account, app_id="wx0000000000000000")
        keyless = replace(self.account, aes_keys=("b" * 43,))
        inner = self._text(text)
        return (
            replace(good, query={**good.query, "msg_signature": ""}),
            replace(good, query={**good.query, "msg_signature": "0" * 40}),
            replace(good, query={**good.query, "msg_signature": "é"}),
            replace(good, query=unsigned),
            replace(good, query=downgraded),
            replace(good, body=b""),
            replace(good, body=b"\xff\xfe"),
            plain,
            replace(plain, query=good.query),
            brought(elsewhere, inner, as_json=self.as_json),
            brought(keyless, inner, as_json=self.as_json),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        good = self._text(text)
        without = (
            {name: value for name, value in good.items() if name != missing}
            for missing in ("FromUserName", "CreateTime", "MsgType", "MsgId")
        )
        wrong: tuple[dict[str, str | int], ...] = (
            {"FromUserName": ""},
            {"FromUserName": "<script>"},
            {"CreateTime": "yesterday"},
            {"MsgId": "one"},
            {"MsgType": "event"},
            {"MsgType": "event", "Event": "no event 1"},
        )
        return (
            *(self._brought(message) for message in without),
            *(self._brought({**good, **fields}) for fields in wrong),
        )

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        def told(name: str, **fields: str) -> InboundRequest:
            return self._brought(event(name, openid=OPENID, created_at=NOW, **fields))

        good = self._text(text)
        return (
            checked(self.account, handshake(self.account, text, sent_at=NOW, nonce=NONCE)),
            told("VIEW", EventKey=f"https://verify.example/q/{text}"),
            told("unsubscribe", EventKey=text),
            told("TEMPLATESENDJOBFINISH", Status=text),
            told("an_event_of_tomorrow", EventKey=text),
            self._brought({**good, "FromUserName": good["ToUserName"]}),
        )

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        return _read(self.account, adapter.encode(self.ask("1"), turn, reply))

    def meaning(self, reply: Reply) -> str:
        return reply.chat

    def _text(self, text: str, message: str = "message-1") -> Message:
        return text_message(text, openid=OPENID, message_id=number_of(message), created_at=NOW)

    def _brought(self, message: Message, *, sent_at: int = NOW) -> InboundRequest:
        return brought(self.account, message, sent_at=sent_at, as_json=self.as_json)


class OfficialEncryptedBinding(WechatBinding):
    """The mode that a new account should be in."""


class OfficialCompatibleBinding(WechatBinding):
    """Both forms in one body; what is encrypted is read, and what is plain where nothing is."""

    account = COMPATIBLE

    def forged_envelopes(self, text: str, good: InboundRequest) -> tuple[InboundRequest, ...]:
        strict = super().forged_envelopes(text, good)
        return tuple(one for one in strict if one.query.get("encrypt_type") == "aes")


class OfficialPlainBinding(WechatBinding):
    """Signed addresses and plain bodies."""

    account = PLAIN

    def forged_envelopes(self, text: str, good: InboundRequest) -> tuple[InboundRequest, ...]:
        signature = {"signature": sign("token-of-tomorrow", str(NOW), NONCE)}
        return (
            replace(good, query={**good.query, "signature": ""}),
            replace(good, query={**good.query, **signature}),
            replace(good, query={**good.query, "encrypt_type": "aes", "signature": "0" * 40}),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        good = self._brought(self._text(text))
        bodies = (
            b"",
            b"<xml/>",
            b"<xml></xml>",
            b"<xml><Content>" + text.encode(),
            good.body + b"<more/>",
            good.body.replace(b"<xml>", b"<xml>" + text.encode()),
            b'<!DOCTYPE xml [<!ENTITY a "1">]>' + good.body,
            b"<message>" + good.body + b"</message>",
            b"\xff\xfe" + good.body,
            good.body.decode().encode("utf-16"),
            b'{"Content": "1"}',
        )
        return (*super().malformed(text), *(replace(good, body=body) for body in bodies))


class _PushBinding(WechatBinding):
    account = MINI_PROGRAM
    traits = Traits(pushes=True, in_band=False, trusted_ids=True)

    def made(self, context: ChannelContext) -> AccountAdapter:
        return MiniProgramAdapter(self.account, context, (ScriptedSender(self.account.name),))

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        assert adapter.encode(self.ask("1"), turn, reply).body == b"success"
        return reply.chat  # what is put into the outbox


class MiniProgramXmlBinding(_PushBinding):
    """Encrypted XML; every reply is pushed."""


class MiniProgramJsonBinding(_PushBinding):
    """Encrypted JSON; every reply is pushed."""

    as_json = True


def _read(account: Account, answer: OutboundResponse) -> str:
    assert answer.status == 200
    return read_answer(replace(account, mode=Mode.PLAIN), answer.body).text
