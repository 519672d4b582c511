"""Which channels there are: a name and the dotted factory that makes its adapter, imported only when it is enabled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from app.core.ports.clock import Clock
from app.core.ports.identities import Identities
from channels.base import ChannelAdapter
from channels.wording.reply import Wording

CHANNELS: Final = {
    "web": "channels.web.pages:make_adapter",
    "api": "channels.web.api:make_adapter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelContext:
    """What every channel may be given: wording, identities (tokens and sealed ids), the clock, the live lengths."""

    wording: Wording
    identities: Identities
    clock: Clock
    public_url: str
    timezone: str
    lengths: Callable[[], frozenset[int]]  # the live code lengths, imports included


def load_channels(names: Iterable[str], context: ChannelContext) -> tuple[ChannelAdapter, ...]:
    """Make the adapters of ``names`` in that order. Raises ``KeyError`` with the known names for an unknown one."""
    adapters = []
    for name in names:
        if name not in CHANNELS:
            raise KeyError(f"There is no channel {name!r}. Known: {', '.join(sorted(CHANNELS))}.")
        module, _, factory = CHANNELS[name].partition(":")
        adapters.append(cast(ChannelAdapter, getattr(import_module(module), factory)(context)))
    return tuple(adapters)
