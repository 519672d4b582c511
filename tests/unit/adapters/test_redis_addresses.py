from __future__ import annotations

import pytest

from app.adapters.cache.addresses import RedisAddress, RedisForm
from app.core.errors import SettingsInvalid


def test_one_server() -> None:
    address = RedisAddress.parse("redis://cache.example:6380/3")
    assert (address.form, address.nodes, address.database) == (
        RedisForm.SINGLE,
        (("cache.example", 6380),),
        3,
    )
    assert (address.tls, address.username, address.password) == (False, None, None)
    assert RedisAddress.parse("redis://localhost").nodes == (("localhost", 6379),)
    assert RedisAddress.parse("redis://[::1]:7000/").nodes == (("::1", 7000),)


def test_with_tls_and_a_password() -> None:
    address = RedisAddress.parse("rediss://shop:a%40b%3Ac@host/1?ca=/etc/ssl/own.pem")
    assert (address.tls, address.ca) == (True, "/etc/ssl/own.pem")
    assert (address.username, address.password) == ("shop", "a@b:c")
    assert RedisAddress.parse("redis://:word@host").username is None


def test_sentinels() -> None:
    address = RedisAddress.parse("redis+sentinel://:w@one:26380,two,[::1]:5/goods/2?sentinel_password=x")
    assert address.form is RedisForm.SENTINEL
    assert address.nodes == (("one", 26380), ("two", 26379), ("::1", 5))
    assert (address.service, address.database, address.sentinel_password) == ("goods", 2, "x")


def test_a_cluster() -> None:
    address = RedisAddress.parse("rediss+cluster://one:7000,two:7001")
    assert (address.form, address.tls) == (RedisForm.CLUSTER, True)
    assert address.nodes == (("one", 7000), ("two", 7001))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "http://w0rd@host",
        "redis://",
        "redis://w0rd@",
        "redis://:w0rd@one,two",
        "redis://:w0rd@host:0",
        "redis://:w0rd@host:70000",
        "redis://:w0rd@host/one",
        "redis://:w0rd@host/0/more",
        "redis://:w0rd@host?db=1",
        "redis://:w0rd@[host",
        "redis://:w0rd@host name",
        "redis://u:w0rd/x@host",
        "redis+sentinel://:w0rd@host",
        "redis+cluster://:w0rd@host/1",
    ],
)
def test_what_cannot_be_read_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        RedisAddress.parse(url)
    assert str(refused.value).startswith("redis_url:")
    assert "w0rd" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_no_password_is_shown() -> None:
    address = RedisAddress.parse("redis+sentinel://u:w0rd@host/goods?sentinel_password=0ther")
    assert "w0rd" not in repr(address)
    assert "0ther" not in repr(address)
