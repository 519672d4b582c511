"""Ports for servers that must be told their number beforehand, given to no other test of the run.

They lie below those that systems give to outgoing connections, or a client that tries again while a server is being
replaced could be given the very port it asks for. Each process of a run has a share of its own.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from typing import Final

HOST: Final = "127.0.0.1"
BUS: Final = 10_000  # nodes of a Redis Cluster talk to each other so far above their port
_FIRST: Final = 10_000
_PORTS: Final = 10_000  # so the highest bus is still below 32,768


def share(worker: str, workers: int) -> range:
    """Return the ports of one process: ``worker`` is its name in a run of ``workers``, "" for a run of one."""
    size = _PORTS // max(workers, 1)
    place = int(worker.removeprefix("gw") or 0) % max(workers, 1)
    return range(_FIRST + place * size, _FIRST + (place + 1) * size)


def _in_turn() -> Iterator[int]:
    """Yield the ports of this process for ever, from anywhere on: another run may be on this machine."""
    own = share(
        os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    )
    start = random.SystemRandom().randrange(len(own))
    while True:
        for place in range(len(own)):
            yield own[(start + place) % len(own)]


_NEXT: Final = _in_turn()


def free_port(*, with_bus: bool = False) -> int:
    """Return a port of the loopback that nobody has, and whose bus nobody has either."""
    for _ in range(_PORTS):
        port = next(_NEXT)
        if _is_free(port) and (not with_bus or _is_free(port + BUS)):
            return port
    message = "no free port was found"
    raise RuntimeError(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
