"""Which channels there are: a name and the dotted factory of its adapters, imported only when it is enabled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Final, cast

from channels.base import ChannelAdapter, ChannelContext

__all__ = ["CHANNELS", "ChannelContext", "load_channels"]

CHANNELS: Final = {
    "web": "channels.web.pages:make_adapters",
    "api": "channels.web.api:make_adapters",
    "sms": "channels.sms.adapter:make_adapters",
    "ivr": "channels.ivr.adapter:make_adapters",
    "wechat": "channels.wechat.adapters:make_adapters",
}


def load_channels(names: Iterable[str], context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    """Make the adapters of ``names`` in that order; a channel with several providers has one for each.

    Raises ``KeyError`` with the known names for an unknown one.
    """
    adapters: list[ChannelAdapter] = []
    for name in names:
        if name not in CHANNELS:
            raise KeyError(f"There is no channel {name!r}. Known: {', '.join(sorted(CHANNELS))}.")
        module, _, factory = CHANNELS[name].partition(":")
        make = cast(
            Callable[[ChannelContext], Iterable[ChannelAdapter]], getattr(import_module(module), factory)
        )
        adapters.extend(make(context))
    return tuple(adapters)
