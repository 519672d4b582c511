"""Whether a request that nobody signed comes from an address on the operator's list."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from channels.base import InboundRequest
from channels.sms.settings import Network


def is_from(request: InboundRequest, networks: tuple[Network, ...]) -> bool:
    """Tell whether the client's address is on the list; IPv4 written as IPv6 counts as IPv4.

    Behind a proxy on this machine that nobody configured the whole world seems to be this machine, so a forwarded
    request that still has a loopback address is nobody's; only a list of everybody (``/0``) lets it in.
    """
    return _is_listed(request.remote, "x-forwarded-for" in request.headers, networks)


@lru_cache(maxsize=256)
def _is_listed(remote: str, forwarded: bool, networks: tuple[Network, ...]) -> bool:  # noqa: FBT001 - a key
    try:
        address = ip_address(remote)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # how a socket of both families shows an IPv4 caller
    if address.is_loopback and forwarded:
        return any(network.prefixlen == 0 for network in networks)
    return any(address in network for network in networks)
