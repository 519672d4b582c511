"""Clients of WeChat's API over calls that are answered in advance, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from app.adapters.cache.memory import MemoryCache
from app.core.model.reply import ReplyAddress, ReplyId
from app.core.ports.http_calls import HttpAnswer, HttpCall, NotCalled, Unanswered
from channels.abilities import OutgoingText
from channels.wechat.platform.client import Platform
from channels.wechat.settings import Account, AccountKind
from tests.fakes.clock import FakeClock
from tests.fakes.fake_calls import FakeCalls

API = "https://api.example.cn/relay"
APP_ID = "wx0123456789abcdef"
SECRET = "secret-of-the-console"
OPENID = "oABCdefGHI_jkl-0123456789xyz"
TOKEN = "token-1"

Scripted = HttpAnswer | NotCalled | Unanswered


def answer(status: int = 200, **document: object) -> HttpAnswer:
    return HttpAnswer(status=status, body=json.dumps(document).encode())


def refusal(errcode: int) -> HttpAnswer:
    return answer(errcode=errcode, errmsg=f"{OPENID} {SECRET} rid: 1")


def lent(token: str = TOKEN, life_s: int = 7200) -> HttpAnswer:
    return answer(access_token=token, expires_in=life_s)


TAKEN = answer(errcode=0, errmsg="ok")


def make_account(kind: AccountKind = AccountKind.OFFICIAL_ACCOUNT, **more: object) -> Account:
    fields: dict[str, object] = {
        "name": kind.value,
        "kind": kind,
        "tokens": ("token-of-the-console",),
        "app_id": APP_ID,
        "app_secret": SECRET,
        **more,
    }
    return Account(**fields)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A client, and what it stands on."""

    platform: Platform
    calls: FakeCalls
    clock: FakeClock
    cache: MemoryCache

    @property
    def paths(self) -> list[str]:
        """The last word of each address called, in order."""
        return [path_of(call).rpartition("/")[2] for call in self.calls.made]

    @property
    def tokens_shown(self) -> list[str]:
        return [query_of(call).get("access_token", "") for call in self.calls.made]


def stage(
    answers: Iterable[Scripted] = (),
    *,
    cache: MemoryCache | None = None,
    clock: FakeClock | None = None,
    otherwise: Scripted | None = None,
) -> Stage:
    clock = clock or FakeClock()
    cache = cache or MemoryCache(clock)
    calls = FakeCalls(answers, otherwise=otherwise)
    platform = Platform(make_account(), api_base=API, calls=calls, cache=cache, clock=clock)
    return Stage(platform=platform, calls=calls, clock=clock, cache=cache)


def path_of(call: HttpCall) -> str:
    return urlsplit(call.url).path


def query_of(call: HttpCall) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(call.url).query).items()}


def text_to(recipient: str = OPENID, text: str = "与记录相符，首次查验。", sender: str = "") -> OutgoingText:
    address = ReplyAddress(sender=sender or "official-account", recipient=recipient)
    return OutgoingText(reply_id=ReplyId(7), address=address, text=text)
