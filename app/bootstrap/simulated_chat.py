"""A WeChat message as the platform would bring it to a running server: to try the channel without an account."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from secrets import randbelow
from typing import Final

from app.adapters.clock import SystemClock
from app.bootstrap.chatting import wechat_settings, with_demo_account
from app.bootstrap.simulation import call_server
from app.core.errors import NotFound, RuleBroken
from app.core.ports.http_calls import HttpCall
from app.settings import Settings
from channels.wechat.settings import Account, AccountKind
from channels.wechat.simulate import Deed, message_of, read_answer, signed_webhook

OPENID: Final = "oYanzhenSimulatedShopper0001"
_OPENID: Final = re.compile("[0-9A-Za-z_-]{1,64}")
_MENU_DEEDS: Final = frozenset({Deed.SCAN, Deed.SUBSCRIBE})
_NONCE_BELOW: Final = 10**10


@dataclass(frozen=True, slots=True, kw_only=True)
class Chatted:
    """What the server answered: ``kind`` is text or news, "" where it only acknowledged; ``reply`` what a person reads.

    ``account`` and ``mode`` tell which account was played, and how its messages are sealed.
    """

    account: str
    mode: str
    kind: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """What the shopper ``openid`` does; a message that comes again has the same ``message_id``."""

    deed: Deed
    text: str = ""
    openid: str = field(default=OPENID, repr=False)
    message_id: int


async def simulate_chat(
    settings: Settings,
    doing: Doing,
    *,
    url: str,
    account_name: str = "",
    mini_program: bool = False,
    as_json: bool | None = None,
) -> Chatted:
    """Bring one message to the server at ``url``, for the account of that name (the first of its kind).

    ``as_json`` None is what the platform does as a rule: JSON for mini-programs. Raises ``RuleBroken`` or ``NotFound``
    with the remedy where there is no such account or it cannot do that, ``StoreUnavailable`` where nobody answers,
    ``NotAuthentic`` where the server has other secrets.
    """
    account = _choose(with_demo_account(settings), account_name, mini_program=mini_program)
    is_program = account.kind is AccountKind.MINI_PROGRAM
    if is_program and doing.deed in _MENU_DEEDS:
        raise RuleBroken(
            "Nobody follows a mini-program or scans in its chat. Try --kind card, or --event enter."
        )
    if as_json and not is_program:
        raise RuleBroken("Messages of official accounts come as XML. Leave --format out.")
    if not _OPENID.fullmatch(doing.openid):
        raise RuleBroken("An openid is letters, digits, _ and -, at most 64.")
    now_s = int(SystemClock().now().timestamp())
    webhook = signed_webhook(
        account,
        message_of(
            doing.deed, doing.text, openid=doing.openid, message_id=doing.message_id, created_at=now_s
        ),
        sent_at=now_s,
        nonce=str(randbelow(_NONCE_BELOW)),
        as_json=is_program if as_json is None else as_json,
    )
    call = HttpCall(
        method="POST",
        url=webhook.address(url, account),
        headers=tuple(webhook.headers.items()),
        body=webhook.body,
    )
    answer = read_answer(account, (await call_server(call)).body)
    return Chatted(account=account.name, mode=account.mode.value, kind=answer.kind, reply=answer.text)


def _choose(settings: Settings, name: str, *, mini_program: bool) -> Account:
    accounts = wechat_settings(settings).accounts
    if not accounts:
        raise RuleBroken(
            "No account is set up. Set YANZHEN_WECHAT__OFFICIAL_ACCOUNT__TOKEN to what the server has, or run the "
            "demonstration with the same --data-dir."
        )
    kind = AccountKind.MINI_PROGRAM if mini_program else AccountKind.OFFICIAL_ACCOUNT
    for account in accounts:
        if account.name == name or (not name and account.kind is kind):
            return account
    names = ", ".join(account.name for account in accounts)
    raise NotFound(f"There is no account {name or kind.value}. Those set up: {names}.")
