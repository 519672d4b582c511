"""Messages as WeChat brings them, signed now, each from another person: one account a way of bringing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from channels.abilities import MessageChannel
from channels.base import ChannelContext, InboundRequest
from channels.wechat.mini_program_push import MiniProgramAdapter
from channels.wechat.official_account import OfficialAccountAdapter
from channels.wechat.platform.client import Platform
from channels.wechat.platform.senders import make_senders
from channels.wechat.settings import API_BASE, Account, AccountKind, Mode
from channels.wechat.simulate import signed_webhook, text_message

_FIRST_ID: Final = 23_000_000_000_000_000
_OFFICIAL: Final = Account(
    name="wechat-encrypted",
    kind=AccountKind.OFFICIAL_ACCOUNT,
    tokens=("token-of-the-bench",),
    app_id="wx0123456789abcdef",
    app_secret="secret-of-the-bench",
    aes_keys=("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",),
)
ACCOUNTS: Final = {
    account.name: account
    for account in (
        _OFFICIAL,
        replace(_OFFICIAL, name="wechat-plain", mode=Mode.PLAIN),
        replace(_OFFICIAL, name="wechat-mini-program", kind=AccountKind.MINI_PROGRAM),
    )
}


def wechat_adapters(context: ChannelContext) -> dict[str, MessageChannel]:
    """Return the real adapter of each of :data:`ACCOUNTS`, set up to push."""
    adapters: dict[str, MessageChannel] = {}
    for name, account in ACCOUNTS.items():
        platform = Platform(
            account, api_base=API_BASE, calls=context.calls, cache=context.cache, clock=context.clock
        )
        senders = make_senders(account, platform)
        official = account.kind is AccountKind.OFFICIAL_ACCOUNT
        kind = OfficialAccountAdapter if official else MiniProgramAdapter
        adapters[name] = kind(account, context, senders)
    return adapters


def wechat_request(account: Account, text: str, serial: int) -> InboundRequest:
    """Return message ``serial`` as the platform brings it, with the signature of this second."""
    now = datetime.now(UTC)
    sent_at = int(now.timestamp())
    openid = f"o6_bmjrPTlm6_2sgVt7h{serial:08d}"
    webhook = signed_webhook(
        account,
        text_message(text, openid=openid, message_id=_FIRST_ID + serial, created_at=sent_at),
        sent_at=sent_at,
        nonce=f"{serial:010d}",
        as_json=account.kind is AccountKind.MINI_PROGRAM,
    )
    return InboundRequest(
        method="POST",
        route=account.path,
        path=account.path,
        query=webhook.query,
        headers={name.lower(): value for name, value in webhook.headers.items()},
        body=webhook.body,
        remote="127.0.0.1",
        received_at=now,
    )
