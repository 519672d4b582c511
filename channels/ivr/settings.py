"""What the hotline is set up with, as plain values; app/settings holds the tree they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Protocol

from app.speech.library import Clip
from app.speech.spoken import Name, Pause, Phrase, Spoken
from channels.base import Spending

Network = IPv4Network | IPv6Network
LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class Clips(Protocol):
    """What the hotline needs of the clip library. Prompts and the names in use are in memory."""

    def clips(self, spoken: Spoken, locale: str) -> tuple[Clip | Pause, ...]:
        """Return what is played; what has no clip is left out."""
        ...

    def find(self, item: Phrase | Name, locale: str) -> Clip | None:
        """Return the clip of one item, or None."""
        ...

    def sound(self, sha: str) -> bytes | None:
        """Return a clip's file."""
        ...

    def silence(self, pause_ms: int) -> str:
        """Return the name of a silent clip as long as a pause, which :meth:`sound` has on every machine."""
        ...

    def sentence(self, key: str, locale: str) -> str:
        """Return the words of a phrase, for a provider's own voice where a clip is missing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioVoiceOptions:
    """``auth_tokens``: one, or two while they rotate."""

    auth_tokens: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FastAgiOptions:
    """``listen`` is host:port; ``sounds`` the folder of exported prompts as the switch names it; ``recordings`` the
    folder it writes reports to ("" records none).
    """

    listen: str
    allow_from: tuple[Network, ...] = LOOPBACK
    sounds: str = "yanzhen"
    max_calls: int = 200
    recordings: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IvrSettings:
    """Every provider that is set up, the others None. ``operator`` is the staffed line, "" for none; ``spending`` caps
    how often callers are put through, since that is a call we pay for.
    """

    clips: Clips
    spending: Spending
    operator: str = ""
    record_reports: bool = False
    brand_lines: bool = True
    twilio: TwilioVoiceOptions | None = None
    fastagi: FastAgiOptions | None = None
