"""Which channels there are: a name and the dotted factory that makes its adapter, imported only when it is enabled."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Final, cast

from channels.base import ChannelAdapter, ChannelContext

__all__ = ["CHANNELS", "ChannelContext", "load_channels"]

CHANNELS: Final = {
    "web": "channels.web.pages:make_adapter",
    "api": "channels.web.api:make_adapter",
}


def load_channels(names: Iterable[str], context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    """Make the adapters of ``names`` in that order. Raises ``KeyError`` with the known names for an unknown one."""
    adapters = []
    for name in names:
        if name not in CHANNELS:
            raise KeyError(f"There is no channel {name!r}. Known: {', '.join(sorted(CHANNELS))}.")
        module, _, factory = CHANNELS[name].partition(":")
        adapters.append(cast(ChannelAdapter, getattr(import_module(module), factory)(context)))
    return tuple(adapters)
