from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.web.addresses import ClientAddresses, find_address

PROXIES = ClientAddresses([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # a stranger's claim
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),  # left of an untrusted hop is its claim
        ("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.0.0.1", "10.1.1.1, 10.9.9.9", "10.1.1.1"),
        ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, nonsense", "10.0.0.1"),
        ("10.0.0.1", "," * 5000, "10.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_client_is_the_last_hop_that_no_trusted_proxy_vouches_for(
    peer: str, forwarded: str, client: str
) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_without_configured_proxies_nobody_is_believed() -> None:
    assert ClientAddresses().client("127.0.0.1", "198.51.100.7") == "127.0.0.1"


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "[", "1.2.3.4.5", "999.1.1.1", "١.٢.٣.٤"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert find_address(text) is None


def test_an_ipv4_address_within_ipv6_is_the_ipv4_address() -> None:
    assert str(find_address("::ffff:192.0.2.1")) == "192.0.2.1"
    assert str(find_address("fe80::1%eth0")) == "fe80::1"
