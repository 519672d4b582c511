"""Which adapters WeChat needs: one for each account that is set up, and one for what mini-programs ask."""

from __future__ import annotations

from channels.base import ChannelAdapter, ChannelContext
from channels.wechat.settings import AccountKind, WechatSettings


def make_adapters(context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    """Return the adapters of what is set up; the registry names this factory."""
    settings = context.settings.get("wechat")
    if not isinstance(settings, WechatSettings) or not (settings.accounts or settings.domain_files):
        return ()
    return _make(settings, context)


def _make(settings: WechatSettings, context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    """Return the adapters of the accounts; the libraries come in only where there is one."""
    from channels.wechat.api.adapter import MiniProgramApiAdapter
    from channels.wechat.api.sessions import MiniProgram
    from channels.wechat.mini_program_push import MiniProgramAdapter
    from channels.wechat.official_account import OfficialAccountAdapter
    from channels.wechat.page import PageAdapter, PageSigner
    from channels.wechat.platform.client import Platform
    from channels.wechat.platform.senders import make_senders

    adapters: list[ChannelAdapter] = []
    programs: list[MiniProgram] = []
    signer: PageSigner | None = None
    for account in settings.accounts:
        platform = Platform(
            account, api_base=settings.api_base, calls=context.calls, cache=context.cache, clock=context.clock
        )
        senders = make_senders(account, platform)
        if account.kind is AccountKind.OFFICIAL_ACCOUNT:
            adapters.append(OfficialAccountAdapter(account, context, senders))
            if account.name == settings.js_sdk:
                signer = PageSigner(account=account.name, app_id=account.app_id, tickets=platform)
            continue
        adapters.append(MiniProgramAdapter(account, context, senders))
        if account.app_id and account.app_secret:  # without them nobody can be signed in
            programs.append(MiniProgram(account=account, platform=platform))
    if programs:
        adapters.append(MiniProgramApiAdapter(context, programs))
    if signer is not None or settings.domain_files:
        files = settings.domain_files
        adapters.append(PageAdapter(public_url=context.public_url, signer=signer, domain_files=files))
    return tuple(adapters)
