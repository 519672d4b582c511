"""Which servers an address names, and finding the one that takes commits: all are asked at once.

One after the other, as the driver does it, a first server that says nothing at all would use up the whole time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.adapters.storage.postgresql.driver import Connection
from app.core.errors import SettingsInvalid


def servers_of(url: str) -> tuple[str, ...]:
    """Return an address for each server that ``url`` names, in its order.

    Raises ``SettingsInvalid`` for what is no address of a PostgreSQL database. Says nothing of what stands in it.
    """
    try:
        parts = urlsplit(url)
        login, at, hosts = parts.netloc.rpartition("@")
        each = [parts._replace(netloc=f"{login}{at}{host}") for host in hosts.split(",")]
        _ = [one.port for one in each]  # raises for what is no number
    except ValueError:
        each = []
    if not each or each[0].scheme not in {"postgres", "postgresql"} or not each[0].path.strip("/"):
        raise SettingsInvalid(
            "The database address must be postgresql://user:password@host:port/database, with commas between several"
            " host:port, or postgresql:///database?host=/socket/directory; special characters in a password are"
            " percent-encoded."
        )
    return tuple(map(urlunsplit, each)) if len(each) > 1 else (url,)


async def connect_to_primary(url: str, **options: Any) -> Connection:  # noqa: ANN401 - the driver's own options
    """Return a connection to the first server of ``url`` that meets ``options``. Raises the driver's errors."""
    trying = {asyncio.ensure_future(asyncpg.connect(one, **options)) for one in servers_of(url)}
    failed: list[BaseException] = []
    waiting = trying
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    trying.discard(attempt)
                    connection: Connection = attempt.result()
                    return connection
                failed.append(error)
    finally:
        _let_go(trying)
    # a server that refused us says more than one that is not there
    raise next((error for error in failed if not isinstance(error, OSError)), failed[0])


def _let_go(attempts: Iterable[asyncio.Future[Connection]]) -> None:
    for attempt in attempts:
        attempt.cancel()
        attempt.add_done_callback(_end)


def _end(attempt: asyncio.Future[Connection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()
