"""What text messages are set up with, as plain values; app/settings holds the tree they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

Network = IPv4Network | IPv6Network
LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioOptions:
    """``auth_tokens``: one, or two while they rotate; the first signs our calls. Without ``account_sid`` nothing is
    pushed. ``api_url`` replaces the provider's own address, for a relay.
    """

    auth_tokens: tuple[str, ...] = field(repr=False)
    account_sid: str = ""
    api_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KannelOptions:
    """``secrets`` stand in the path, one or two; ``send_url`` is smsbox's sendsms address ("" pushes nothing)."""

    secrets: tuple[str, ...] = field(repr=False)
    allow_from: tuple[Network, ...] = LOOPBACK
    send_url: str = ""
    send_username: str = ""
    send_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppOptions:
    """A bind as transceiver to a message centre. ``addresses`` are our own numbers ("" takes every text)."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Gateways described by data: ``files`` are names of files that ship, or paths. ``secrets`` stand in the path.

    ``credentials`` fill the placeholders of a file's ``[send]`` part; ``reply_by`` names the sender that answers for
    files without one.
    """

    files: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)
    allow_from: tuple[Network, ...] = LOOPBACK
    credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    reply_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsSettings:
    """Every provider that is set up; the others are None."""

    twilio: TwilioOptions | None = None
    kannel: KannelOptions | None = None
    smpp: SmppOptions | None = None
    gateway: GatewayOptions | None = None
