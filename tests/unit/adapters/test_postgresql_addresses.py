"""Addresses of PostgreSQL that name several servers."""

from __future__ import annotations

import pytest

from app.adapters.storage.postgresql.addresses import servers_of
from app.core.errors import SettingsInvalid


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("postgresql://a:b%2Fc@one:1/x", ["postgresql://a:b%2Fc@one:1/x"]),
        ("postgresql:///x?host=/socket", ["postgresql:///x?host=/socket"]),
        (
            "postgresql://a:b%2Cc@one:1,two,[::1]:3/x?sslmode=require",
            [f"postgresql://a:b%2Cc@{host}/x?sslmode=require" for host in ("one:1", "two", "[::1]:3")],
        ),
    ],
)
def test_an_address_is_one_for_each_server(url: str, servers: list[str]) -> None:
    assert list(servers_of(url)) == servers


@pytest.mark.parametrize(
    "url",
    ["mysql://one,two/x", "postgresql://one:1,two:port/x", "postgresql://one,two", "postgresql://[/x", ""],
)
def test_what_is_no_address_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(SettingsInvalid) as told:
        servers_of(url)
    assert "two" not in str(told.value)
