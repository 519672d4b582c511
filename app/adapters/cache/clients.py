"""Clients of the redis library that never try twice: the connection above them decides when to ask again.

The library's default policy held callers for over 30 s behind a network that dropped packets. RESP2 is spoken, because
with RESP3 a server's maintenance notices may lengthen the library's timeouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from app.adapters.cache.addresses import RedisAddress, RedisForm

Command = tuple[str | bytes | int, ...]
_PROBE: Final[Command] = ("SET", "yanzhen:probe", b"1", "PX", 1000)
_CONNECTIONS: Final = 4  # one is used: whatever waits shares a pipeline


class RedisClient(Protocol):
    """A client that is thrown away after its first failure."""

    async def open(self) -> None:
        """Connect and look around. Raises whatever the library does."""
        ...

    async def probe(self) -> None:
        """Make sure that every part answers and that writing is possible. Raises whatever the library does."""
        ...

    async def exchange(self, commands: Sequence[Command]) -> list[object]:
        """Send all commands in one go; a reply may be an exception. Raises whatever the library does."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def client_of(address: RedisAddress, *, answer_s: float) -> RedisClient:
    """Make the client of an address; it does not connect yet."""
    if address.form is RedisForm.CLUSTER:
        return _ClusterClient(address, answer_s)
    if address.form is RedisForm.SENTINEL:
        return _SentinelClient(address, answer_s)
    host, port = address.nodes[0]
    redis = Redis(host=host, port=port, db=address.database, **_options(address, answer_s))
    return _ServerClient(redis)


def is_missing_script(reply: object) -> bool:
    """Tell whether a reply says that the server has to be sent the script itself."""
    return isinstance(reply, ResponseError) and "NOSCRIPT" in type(reply).__name__.upper() + str(reply)[:8]


def name_of(error: BaseException) -> str:
    """Return a failure's name for the log: the class, and the server's own code word where it sent one."""
    word = str(error).partition(" ")[0] if isinstance(error, ResponseError) else ""
    return f"{type(error).__name__} {word}" if word.isalpha() and word.isupper() else type(error).__name__


def _options(address: RedisAddress, answer_s: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": answer_s,
        "socket_connect_timeout": answer_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "max_connections": _CONNECTIONS,
    }
    if address.tls:
        options |= {"ssl": True, "ssl_ca_certs": address.ca}
    return options


@dataclass(slots=True)
class _ServerClient:
    redis: Redis

    async def open(self) -> None:
        await self.redis.execute_command("PING")  # type: ignore[no-untyped-call]

    async def probe(self) -> None:
        await self.redis.execute_command(*_PROBE)  # type: ignore[no-untyped-call]

    async def exchange(self, commands: Sequence[Command]) -> list[object]:
        pipeline = self.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)

    async def aclose(self) -> None:
        await self.redis.aclose()


class _SentinelClient(_ServerClient):
    """The master that the Sentinels name; asked anew at each new connection."""

    __slots__ = ("_sentinel",)

    def __init__(self, address: RedisAddress, answer_s: float) -> None:
        options = _options(address, answer_s)
        theirs = options | {"username": None, "password": address.sentinel_password}
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            list(address.nodes), sentinel_kwargs=theirs
        )
        super().__init__(self._sentinel.master_for(address.service, db=address.database, **options))

    async def aclose(self) -> None:
        await self.redis.aclose()
        for sentinel in self._sentinel.sentinels:
            await sentinel.aclose()


class _ClusterClient:
    """Every primary. All must answer: with the servers' default (full coverage) a Cluster that lost one refuses all."""

    __slots__ = ("_cluster",)

    def __init__(self, address: RedisAddress, answer_s: float) -> None:
        options = _options(address, answer_s)
        nodes = [ClusterNode(host, port) for host, port in address.nodes]
        self._cluster = RedisCluster(startup_nodes=nodes, **options)

    async def open(self) -> None:
        await self._cluster.initialize()

    async def probe(self) -> None:
        await self._cluster.ping(target_nodes=RedisCluster.PRIMARIES)
        await self._cluster.execute_command(*_PROBE)

    async def exchange(self, commands: Sequence[Command]) -> list[object]:
        pipeline = self._cluster.pipeline()
        for command in commands:
            pipeline.execute_command(*command)
        return await pipeline.execute(raise_on_error=False)

    async def aclose(self) -> None:
        await self._cluster.aclose()
