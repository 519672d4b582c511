"""A clock that makes what a Redis keeps older, because nobody can set the clock of a server."""

from __future__ import annotations

from collections.abc import Iterable

import redis

from tests.fakes.clock import FakeClock
from tests.fakes.redis_server import RedisServer


class AgingClock(FakeClock):
    """Time passes for our code as with any standing clock, and for the servers by taking it from what they keep:
    every expiry, and the moments at which allowances are whole again.
    """

    def __init__(self, servers: Iterable[RedisServer]) -> None:
        super().__init__()
        self._servers = tuple(servers)

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for server in self._servers:
            with server.admin() as admin:
                for key in admin.keys("yanzhen:*"):
                    _age(admin, key, seconds)


def _age(admin: redis.Redis, key: bytes, seconds: float) -> None:
    left_ms = int(admin.pttl(key)) - round(seconds * 1000)
    if left_ms <= 0:
        admin.delete(key)
        return
    if key.startswith(b"yanzhen:t:"):
        moments = (int(at) - round(seconds * 1_000_000) for at in bytes(admin.get(key)).split())
        admin.set(key, " ".join(map(str, moments)), keepttl=True)
    admin.pexpire(key, left_ms)
