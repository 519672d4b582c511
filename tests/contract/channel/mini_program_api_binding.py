"""How the mini-program's API looks, for the contract suite: a bearer token, a body and an idempotency key."""

from __future__ import annotations

import orjson

from app.adapters.identities import KeyedIdentities
from app.issuing.keyring import SecretName
from channels.base import ChannelAdapter, ChannelContext, InboundRequest
from channels.turns import Turn
from channels.wechat.api.adapter import MiniProgramApiAdapter
from channels.wechat.api.sessions import MiniProgram
from channels.wechat.settings import Account, AccountKind
from channels.wording.reply import Reply
from tests.contract.channel.suite import Traits
from tests.fakes.clock import START
from tests.fakes.fake_sign_ins import FakeSignIns
from tests.fakes.sample_service import fixed_keyring

OPENID = "oLVPpjqs9BhvzwPj5A-vTYAX3GLc"
ACCOUNT = Account(
    name=AccountKind.MINI_PROGRAM.value,
    kind=AccountKind.MINI_PROGRAM,
    tokens=("token-of-the-console",),
    app_id="wx5823bf96d3bd56c7",
    app_secret="secret-of-the-account",
    recall_template="template-1",
)
_VERIFICATIONS = "/api/v1/wechat/verifications"


def token_of(account: str = ACCOUNT.name, *, lives_s: int = 60) -> str:
    """Return a session's token as the service of the suite seals it."""
    ring = fixed_keyring()
    identities = KeyedIdentities(
        caller_key=ring.secret(SecretName.CALLER).key, result_key=ring.secret(SecretName.RESULT).key
    )
    session = {"account": account, "openid": OPENID, "ends_at": int(START.timestamp()) + lives_s}
    return identities.seal_state(orjson.dumps(session), about="mini-program")


TOKEN = token_of()


class MiniProgramApiBinding:
    """Questions of somebody who has signed in."""

    secrets = (OPENID, TOKEN)
    traits = Traits()

    def adapter(self, context: ChannelContext) -> ChannelAdapter:
        return MiniProgramApiAdapter(context, [MiniProgram(account=ACCOUNT, platform=FakeSignIns())])

    def ask(self, text: str, *, message: str = "message-1", locale: str = "zh-CN") -> InboundRequest:
        return self._post(orjson.dumps({"code": text, "locale": locale}), idempotency_key=message)

    def forged(self, text: str) -> tuple[InboundRequest, ...]:
        body = self.ask(text).body
        wrong = ("", "Bearer ", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x")
        return (
            *(self._post(body, authorization=header) for header in wrong),
            self._post(body, authorization="", cookie=f"__Host-yz_caller={TOKEN}"),
            self._post(body, authorization=f"Bearer {token_of(lives_s=0)}"),
            self._post(body, authorization=f"Bearer {token_of('another-account')}"),
        )

    def malformed(self, text: str) -> tuple[InboundRequest, ...]:
        bodies = (
            f'{{"code": "{text}"'.encode(),
            f'["{text}"]'.encode(),
            b'{"code": "\xff' + text.encode() + b'"}',
            b"",
            b"{}",
            f'{{"code": "{text}", "locale": 7}}'.encode(),
            f'{{"code": "{text}", "entry": "guessed"}}'.encode(),
        )
        return (
            *(self._post(body) for body in bodies),
            self._post(self.ask(text).body, content_type="text/plain"),
            self._post(self.ask(text).body, idempotency_key="k" * 256),
        )

    def never_counted(self, text: str) -> tuple[InboundRequest, ...]:
        body = orjson.dumps({"code": text, "result": text, "text": text})
        paths = ("/api/v1/wechat/session", "/api/v1/wechat/recall-watches", "/api/v1/wechat/reports")
        return (
            self._request("GET", _VERIFICATIONS, b"", {}),
            *(self._request("POST", path, body, {}) for path in paths),
        )

    def shown(self, adapter: ChannelAdapter, turn: Turn, reply: Reply) -> str:
        body = orjson.loads(adapter.encode(self.ask("1"), turn, reply).body)
        return f"{body['outcome']} {body.get('message') or body['detail']}"

    def meaning(self, reply: Reply) -> str:
        return f"{reply.verdict.outcome.value} {reply.message}"

    def _post(self, body: bytes, **headers: str) -> InboundRequest:
        return self._request("POST", _VERIFICATIONS, body, headers)

    @staticmethod
    def _request(method: str, path: str, body: bytes, headers: dict[str, str]) -> InboundRequest:
        given = {"authorization": f"Bearer {TOKEN}", "content_type": "application/json", **headers}
        return InboundRequest(
            method=method,
            route=path,
            path=path,
            headers={name.replace("_", "-"): text for name, text in given.items()},
            body=body,
            remote="192.0.2.7",
            received_at=START,
        )
