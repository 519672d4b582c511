"""The network that a client address stands for, and whom the limits count for there."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from channels.turns import ThrottleSubject


@lru_cache(maxsize=4096)
def network_of(remote: str) -> str:
    """Return the network a client address stands for: IPv4 /32 or IPv6 /64; the text itself if it is no address."""
    try:
        address = ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


@lru_cache(maxsize=4096)
def address_subjects(remote: str) -> tuple[ThrottleSubject, ...]:
    """Return whom a request from ``remote`` counts for, whoever sent it: its network."""
    network = network_of(remote)
    return (ThrottleSubject("address", network, group=network),)
