"""The record of a schedule on a real PostgreSQL server: each call of a machine is one whole transaction, at its moment.

The server and the sockets to it have real time, in a loop of another thread; the schedule stands still while it waits
for them. So its order is the seed's, and transactions never meet: killed clusters and many machines show what then is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar, cast

import asyncpg

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.postgresql import PostgresqlStorage, open_postgresql
from app.adapters.storage.rows import to_micros
from app.core.model.reply import OwedReply
from app.core.model.verdict import Verdict
from tests.contract.store.history import Recorded
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.prepared import prepare
from tests.proof.simulation.shared import (
    FIRST_SERIAL,
    Fate,
    RemoteCorrespondence,
    RemoteOutbox,
    RemoteVerifications,
    Stores,
    WiredCatalogues,
)
from tests.proof.simulation.world import Wire

T = TypeVar("T")

_WITHIN_S: Final = 60.0
_DUE: Final = "SELECT count(*) FROM reply WHERE state IN ('waiting', 'sending') AND due_at <= $1"
_FATE: Final = (
    "SELECT state, coalesce(why, '') FROM reply WHERE id = (SELECT reply FROM reply_key WHERE key = $1)"
)
_ORDINALS: Final = "SELECT serial, ordinal, outcome FROM verification WHERE ordinal IS NOT NULL"


class Database:
    """A server with one database, open; :meth:`run` waits for what its loop does."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgresql", daemon=True)
        self._thread.start()
        self._server = PostgresServer()
        try:
            self._server.start()
            self.run(self._open())
        except BaseException:
            self.end()
            raise

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return its result, or raise its error."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_WITHIN_S)

    def rows(self, sql: str, *values: object) -> list[Any]:
        """Return what an operator reads."""
        found: list[Any] = self.run(self.operator.fetch(sql, *values))
        return found

    def empty(self) -> None:
        """Delete every fact and reply."""
        self.run(self.operator.execute(self._back))

    def end(self) -> None:
        """Close what is open, and stop the server and the loop."""
        with suppress(AttributeError):  # it never came so far
            self.run(self.storage.close())
            self.run(self.operator.close())
        self._server.remove()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN_S)
        self._loop.close()

    async def _open(self) -> None:
        prepared = await prepare(self._server)
        self._back = prepared.back
        self.storage: PostgresqlStorage = await open_postgresql(prepared.socket_url)
        self.outbox = self.storage.outbox(AesGcmSealing({1: b"s" * 32}))
        self.operator: Any = await asyncpg.connect(prepared.socket_url)


@cache
def database() -> Database:
    """Return the database of this process."""
    return Database()


def remove_database() -> None:
    """End what :func:`database` began."""
    if database.cache_info().currsize:
        database().end()
        database.cache_clear()


class AtOnce:
    """A part of the storage whose calls wait for nothing, as a store in memory: they are over when they return."""

    def __init__(self, of: object) -> None:
        self._of = of

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._of, name)

        async def call(*values: Any, **named: Any) -> Any:
            return database().run(method(*values, **named))

        return call


class ServedVerifications(WiredCatalogues, RemoteVerifications):
    """``VerificationStore`` and ``CatalogueStore`` on the server, at the other end of a wire."""

    def __init__(self, record: Any, catalogues: Any, wire: Wire) -> None:
        RemoteVerifications.__init__(self, record, wire)
        WiredCatalogues.__init__(self, catalogues, wire)


class ServedOutbox(RemoteOutbox):
    """``Outbox`` on the server, at the other end of a wire."""

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]:
        if not database().rows(_DUE, to_micros(now))[0][0]:
            return ()  # what nearly every look finds, and none of it costs a schedule anything
        return await super().take(now, limit=limit, lease_s=lease_s)


class PostgresqlBooks:
    """``Books`` in the one database, which is empty at the beginning and at the end."""

    first_serial = FIRST_SERIAL

    def stores(self, wire: Wire) -> Stores:
        storage = database().storage
        parts = storage.verifications, storage.catalogues, database().outbox, storage.correspondence
        record, catalogues, outbox, correspondence = cast(tuple[Any, ...], tuple(map(AtOnce, parts)))
        verifications = ServedVerifications(record, catalogues, wire)
        return Stores(
            verifications=verifications,
            catalogues=verifications,
            outbox=ServedOutbox(outbox, wire),
            correspondence=RemoteCorrespondence(correspondence, wire),
        )

    def answer(self, key: bytes) -> Verdict | None:
        return database().run(database().storage.verifications.find_answer(key))

    def fate(self, key: bytes) -> Fate | None:
        found = database().rows(_FATE, key)
        return Fate(state=found[0][0], why=found[0][1]) if found else None

    def owed(self) -> int:
        return self._one("SELECT count(*) FROM reply WHERE state IN ('waiting', 'sending')")

    def facts(self) -> int:
        return self._one("SELECT count(*) FROM verification")

    def ordinals(self) -> list[Recorded]:
        return [
            Recorded(label=serial, ordinal=ordinal, is_first=outcome == "first")
            for serial, ordinal, outcome in database().rows(_ORDINALS)
        ]

    def recall(self) -> None:
        """Change the catalogue under everybody's feet."""
        database().rows("UPDATE catalogue_version SET version = version + 1")

    def close(self) -> None:
        database().empty()

    def _one(self, sql: str) -> int:
        found: int = database().rows(sql)[0][0]
        return found
