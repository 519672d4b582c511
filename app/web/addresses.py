"""Who asks, by address: the peer of the connection, or what a configured proxy says of it.

An ``X-Forwarded-For`` from anybody else is somebody's claim and is not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_MOST_HOPS: Final = 16


def find_address(text: str) -> Address | None:
    """Return the address written in ``text``: plain, with a port, or IPv6 in brackets; None for anything else.

    An IPv4 address carried in IPv6 (RFC 4291, section 2.5.5.2) is returned as IPv4, so that one client is one.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


class ClientAddresses:
    """Finds the client behind the proxies of ``trusted`` networks."""

    def __init__(self, trusted: Iterable[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def client(self, peer: str, forwarded_for: str) -> str:
        """Return the client's address: ``peer`` unless it is a trusted proxy, else the last untrusted hop.

        ``forwarded_for`` is read from the right, because everything left of an untrusted hop is that hop's claim.
        """
        if not forwarded_for or not self._trusts(find_address(peer)):
            return peer
        client = peer
        for hop in reversed(forwarded_for.split(",")[-_MOST_HOPS:]):
            address = find_address(hop)
            if address is None:
                return client
            client = str(address)
            if not self._trusts(address):
                return client
        return client

    @property
    def any_trusted(self) -> bool:
        """True where some proxy is believed."""
        return bool(self._trusted)

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)
