"""Putting our menu on an official account, for the command line: no server and no database is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from app.adapters.cache.memory import MemoryCache
from app.adapters.clock import SystemClock
from app.adapters.http import AiohttpCalls
from app.bootstrap.chatting import wechat_settings
from app.core.errors import NotFound, RuleBroken, StoreUnavailable
from app.settings import Settings
from channels.wechat.platform.answers import Granted, NotTaken, Refused, Unclear
from channels.wechat.platform.client import Platform
from channels.wechat.platform.menu import create_menu, load_menu
from channels.wechat.settings import Account, AccountKind, WechatSettings


def menu_document() -> Mapping[str, object]:
    """Return the menu in the platform's terms."""
    return load_menu()


async def put_menu(settings: Settings, account_name: str = "") -> str:
    """Put the menu on the official account of that name (the first one set up) and return its name.

    Raises ``NotFound`` or ``RuleBroken`` with the remedy, ``StoreUnavailable`` where the platform does not answer.
    """
    chosen = wechat_settings(settings)
    account = _choose(chosen, account_name)
    clock = SystemClock()
    calls = AiohttpCalls()
    platform = Platform(account, api_base=chosen.api_base, calls=calls, cache=MemoryCache(clock), clock=clock)
    try:
        answer = await create_menu(platform, load_menu())
    finally:
        await platform.close()
        await calls.close()
    match answer:
        case Granted():
            return account.name
        case Refused():
            raise RuleBroken(
                f"WeChat refused the menu with its error {answer.code}. Look it up in WeChat's list of return codes; "
                "48001 means that the account has not been granted custom menus."
            )
        case NotTaken(why="setup_wrong"):
            raise RuleBroken(
                f"WeChat does not admit the account {account.name}. Check its app_id and app_secret, and in the "
                "console that this machine's address is on the list of allowed addresses."
            )
        case NotTaken() | Unclear():
            raise StoreUnavailable(
                f"WeChat did not take the menu ({answer.why}). Check wechat.api_base and the network, then try again; "
                "a second time does no harm."
            )
    assert_never(answer)


def _choose(chosen: WechatSettings, name: str) -> Account:
    official = [account for account in chosen.accounts if account.kind is AccountKind.OFFICIAL_ACCOUNT]
    if not official:
        raise RuleBroken("No official account is set up. Set YANZHEN_WECHAT__OFFICIAL_ACCOUNT__TOKEN first.")
    found = [account for account in official if name in {"", account.name}]
    if not found:
        names = ", ".join(account.name for account in official)
        raise NotFound(f"There is no official account {name}. Those set up: {names}.")
    account = found[0]
    if not account.app_id or not account.app_secret:
        raise RuleBroken(
            f"The account {account.name} needs app_id and app_secret; copy them from the console."
        )
    return account
