"""Connections to PostgreSQL: every one of them durable, every call with a deadline, every error in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeVar

import asyncpg

from app.adapters.storage.postgresql.addresses import connect_to_primary, find_server
from app.adapters.storage.postgresql.driver import Connection, Pool
from app.adapters.storage.postgresql.succession import Succession
from app.core.errors import SettingsInvalid, StoreUnavailable

T = TypeVar("T")

LARGEST: Final = 2**63 - 1  # of a bigint; the driver refuses more
CONNECT_WITHIN_S: Final = 2.0
ANSWER_WITHIN_S: Final = (
    6.0  # later than the server's own limits, so that as a rule the server gives up first
)
_CLOSE_WITHIN_S: Final = 5.0
_SESSION: Final = {
    "application_name": "yanzhen",
    "statement_timeout": "5000",
    "lock_timeout": "4000",
    "idle_in_transaction_session_timeout": "5000",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
    "jit": "off",  # compiling costs more than any statement here
}
_DURABLE: Final = ("on", "remote_apply")
# fsync off is worse than any synchronous_commit: then even a checkpoint is only a hope
_SETTLE: Final = (
    "SELECT current_setting('synchronous_commit'), current_setting('fsync'), set_config('synchronous_commit',"
    " CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, FALSE)"
)


@contextmanager
def as_store_errors(what: str) -> Iterator[None]:
    """Turn the driver's errors into ``StoreUnavailable`` with what was being done and what to do."""
    try:
        yield
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
    ) as error:
        said = str(error) or type(error).__name__  # a deadline says nothing
        raise StoreUnavailable(
            f"{what} failed: {said}. Check that the PostgreSQL server runs and accepts this service."
        ) from error


@contextmanager
def as_lost(connection: Connection) -> Iterator[None]:
    """Raise ``ConnectionResetError`` for the ``AttributeError`` that the driver raises where ``connection`` was lost
    while it had a call on it.
    """
    try:
        yield
    except AttributeError as error:
        if not connection.is_closed():
            raise
        raise ConnectionResetError("the connection was lost") from error


async def connect(url: str) -> Connection:
    """Open one connection whose commits are durable.

    Raises ``StoreUnavailable`` without a primary server, ``SettingsInvalid`` where the server promises less.
    """
    return (await find_primary(url))[0]


async def find_primary(url: str) -> tuple[Connection, str]:
    """Do as :func:`connect`, and tell which of the servers that ``url`` names it is, by an address of its own."""
    with as_store_errors("Connecting to the database"):
        connection, server = await find_server(url, **_options())
    try:
        with as_store_errors("Connecting to the database"):
            await _settle(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection, server


@contextmanager
def acknowledged(connection: Connection, what: str) -> Iterator[None]:
    """Raise ``StoreUnavailable`` where the server warned of a commit: it says in a warning alone, and reports success
    besides, that no standby confirmed what it was to wait for.
    """
    warnings: list[str] = []

    def note(_connection: object, message: Any) -> None:  # noqa: ANN401 - the driver's own type
        if getattr(message, "severity_en", None) == "WARNING":
            warnings.append(str(message))

    connection.add_log_listener(note)
    try:
        yield
    finally:
        with suppress(asyncpg.InterfaceError):  # one that broke has left its pool
            connection.remove_log_listener(note)
    if warnings:
        raise StoreUnavailable(f"{what} failed: {warnings[0]}. Check the standby servers.")


class Connections:
    """A few connections for reads and small writes of one event loop, beside the one that records."""

    def __init__(self, pool: Pool, succession: Succession) -> None:
        self._pool = pool
        self._succession = succession
        succession.tell(pool.expire_connections)
        self._works: set[asyncio.Task[Any]] = set()

    @staticmethod
    async def open(url: str, succession: Succession, *, most: int = 4) -> Connections:
        """Open a pool of up to ``most`` connections. Errors as :func:`connect`."""
        with as_store_errors("Connecting to the database"):
            pool: Pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=most,
                connect=connect_to_primary,
                init=_settle,
                reset=_keep_as_it_is,
                **_options(),
            )
        return Connections(pool, succession)

    async def rows(self, what: str, sql: str, *values: object) -> list[Any]:
        """Return all rows of one statement, which sees every commit before it. Raises ``StoreUnavailable``."""
        return await self._finish(self._lend(what, lambda connection: connection.fetch(sql, *values)))

    async def run(self, what: str, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do ``work`` in one transaction and return its result after the commit. Raises ``StoreUnavailable``.

        Cancelling the caller does not stop the work.
        """
        return await self._finish(self._transact(what, work))

    async def run_single(self, what: str, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do ``work`` of one statement, which is a transaction by itself: one round trip. Else as :meth:`run`."""
        return await self._finish(self._lend(what, work))

    @asynccontextmanager
    async def connection(self, what: str) -> AsyncIterator[Connection]:
        """Lend a connection; ``what`` stands in the error. Raises ``StoreUnavailable``."""
        with as_store_errors(what):
            async with self._pool.acquire(timeout=ANSWER_WITHIN_S) as connection:
                with as_lost(connection):
                    yield connection

    @asynccontextmanager
    async def transaction(
        self, what: str, *, isolation: str | None = None, readonly: bool = False
    ) -> AsyncIterator[Connection]:
        """Lend a connection within a transaction, which is rolled back on any error."""
        async with (
            self.connection(what) as connection,
            connection.transaction(isolation=isolation, readonly=readonly),
        ):
            yield connection

    async def close(self) -> None:
        """Finish what was asked, and close."""
        if self._works:
            await asyncio.wait(self._works)
        try:
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await self._pool.close()
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self._pool.terminate()

    def drop(self) -> None:
        """End every connection at once, as the end of the process would."""
        self._pool.terminate()

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)
        return await finish(task)

    async def _lend(self, what: str, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.connection(what) as connection:
            with acknowledged(connection, what):
                return await self._answered(connection, work)

    async def _transact(self, what: str, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.connection(what) as connection:
            with acknowledged(connection, what):
                async with connection.transaction():
                    return await self._answered(connection, work)

    async def _answered(self, connection: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do ``work``. A server that says nothing is asked on new connections from then on, which find its successor.

        The driver would wait as long again for that server's leave to wait no more.
        """
        try:
            return await self._succession.watch(connection, work(connection))
        except TimeoutError:
            connection.terminate()
            await self._pool.expire_connections()
            raise


async def finish(task: asyncio.Task[T]) -> T:
    """Await a task that goes on if the caller is cancelled; what it raises then is nobody's any more."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_look_away)
        raise


def _look_away(task: asyncio.Task[Any]) -> None:
    with suppress(asyncio.CancelledError):
        task.exception()


def _options() -> dict[str, Any]:
    return {
        "timeout": CONNECT_WITHIN_S,
        "command_timeout": ANSWER_WITHIN_S,
        "server_settings": _SESSION,
        "target_session_attrs": "read-write",
    }


async def _settle(connection: Connection) -> None:
    """Refuse a server that would acknowledge what it may lose, and hold this session to its promise."""
    synchronous_commit, fsync, _ = await connection.fetchrow(_SETTLE)
    if synchronous_commit not in _DURABLE:
        raise SettingsInvalid(
            f"PostgreSQL has synchronous_commit = {synchronous_commit} for this service and would lose acknowledged"
            " verifications. Set it to on (postgresql.conf, ALTER DATABASE or ALTER ROLE), then start again."
        )
    if fsync != "on":
        raise SettingsInvalid(
            "PostgreSQL runs with fsync = off and would lose its whole data in a power failure."
            " Set it to on in postgresql.conf, then start again."
        )


async def _keep_as_it_is(_connection: Connection) -> None:
    """Leave a returned connection alone: nothing here changes a session, and resetting one is a round trip."""
