"""Which servers an address names, and finding the one that takes commits: all are asked at once.

One after the other, as the driver does it, a first server that says nothing at all would use up the whole time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.adapters.storage.postgresql.driver import Connection
from app.core.errors import SettingsInvalid

_AGAIN_AFTER_S: Final = 0.2


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
    """Return the connection of :func:`find_server`."""
    return (await find_server(url, **options))[0]


async def find_server(url: str, **options: Any) -> tuple[Connection, str]:  # noqa: ANN401 - the driver's own options
    """Return a connection to the first server of ``url`` that meets ``options``, and the address of that one.

    A server that refuses is asked again while another says nothing, since it may be promoted meanwhile. Raises the
    driver's errors, and ``SettingsInvalid`` for what is no address.
    """
    servers = servers_of(url)
    waiting = {asyncio.ensure_future(asyncpg.connect(one, **options)): one for one in servers}
    failed: dict[str, BaseException] = {}
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused = []
            for attempt in done:
                server = waiting.pop(attempt)
                error = attempt.exception()
                if error is None:
                    connection: Connection = attempt.result()
                    return connection, server
                failed[server] = error
                refused.append(server)
            if len(failed) == len(servers):
                # a server that refused us says more than one that is not there
                errors = failed.values()
                raise next((error for error in errors if not isinstance(error, OSError)), next(iter(errors)))
            waiting |= {asyncio.ensure_future(_connect_again(one, **options)): one for one in refused}
    finally:
        _let_go(waiting)


async def _connect_again(server: str, **options: Any) -> Connection:  # noqa: ANN401 - the driver's own options
    await asyncio.sleep(_AGAIN_AFTER_S)
    connection: Connection = await asyncpg.connect(server, **options)
    return connection


def _let_go(attempts: Iterable[asyncio.Future[Connection]]) -> None:
    for attempt in attempts:
        attempt.cancel()
        attempt.add_done_callback(_end)


def _end(attempt: asyncio.Future[Connection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()
