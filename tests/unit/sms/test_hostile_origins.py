"""Where an unsigned request comes from: a proxy that nobody configured must not make the world local."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from channels.base import InboundRequest
from channels.sms.origins import is_from
from channels.sms.settings import LOOPBACK

_OFFICE = (ip_network("10.1.0.0/16"), ip_network("2001:db8::/32"))
_NOW = datetime(2026, 3, 5, tzinfo=UTC)


def request(remote: str, **headers: str) -> InboundRequest:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return InboundRequest(method="GET", route="/x", path="/x", headers=named, remote=remote, received_at=_NOW)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"])
def test_this_machine_in_every_spelling(remote: str) -> None:
    assert is_from(request(remote), LOOPBACK)


@pytest.mark.parametrize(
    "remote",
    ["", "localhost", "127.0.0.1, 6.6.6.6", "::ffff:6.6.6.6", "0177.0.0.1", "2130706433", "127.1", "unix:"],
)
def test_nobody_else(remote: str) -> None:
    assert not is_from(request(remote), LOOPBACK)


@pytest.mark.parametrize("told", ["6.6.6.6", "127.0.0.1", "127.0.0.1, 6.6.6.6", ""])
def test_what_an_unknown_proxy_on_this_machine_forwards_is_nobodys(told: str) -> None:
    assert not is_from(request("127.0.0.1", x_forwarded_for=told), LOOPBACK)
    assert not is_from(request("::ffff:127.0.0.1", x_forwarded_for=told), LOOPBACK)


def test_a_list_of_everybody_leaves_the_secret_alone_on_guard() -> None:
    everybody = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert is_from(request("127.0.0.1", x_forwarded_for="6.6.6.6"), everybody)
    assert is_from(request("6.6.6.6"), everybody)


def test_a_configured_proxy_tells_who_it_was() -> None:
    assert is_from(request("10.1.2.3", x_forwarded_for="10.1.2.3"), _OFFICE)
    assert is_from(request("::ffff:10.1.2.3"), _OFFICE)
    assert not is_from(request("10.2.0.1", x_forwarded_for="10.1.2.3"), _OFFICE)
