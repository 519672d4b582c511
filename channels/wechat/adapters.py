"""Which adapters WeChat needs: one for each account that is set up."""

from __future__ import annotations

from channels.base import ChannelAdapter, ChannelContext
from channels.wechat.settings import Account, AccountKind, WechatSettings


def make_adapters(context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    """Return the adapters of what is set up; the registry names this factory."""
    settings = context.settings.get("wechat")
    if not isinstance(settings, WechatSettings):
        return ()
    return tuple(_make(account, settings, context) for account in settings.accounts)


def _make(account: Account, settings: WechatSettings, context: ChannelContext) -> ChannelAdapter:
    """Return the adapter of one account; the libraries come in only where there is one."""
    from channels.wechat.mini_program_push import MiniProgramAdapter
    from channels.wechat.official_account import OfficialAccountAdapter
    from channels.wechat.platform.client import Platform
    from channels.wechat.platform.senders import make_senders

    platform = Platform(
        account, api_base=settings.api_base, calls=context.calls, cache=context.cache, clock=context.clock
    )
    senders = make_senders(account, platform)
    if account.kind is AccountKind.OFFICIAL_ACCOUNT:
        return OfficialAccountAdapter(account, context, senders)
    return MiniProgramAdapter(account, context, senders)
