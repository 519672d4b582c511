"""The catalogue on PostgreSQL: a consistent snapshot for recognition, and look-ups of imported codes."""

from __future__ import annotations

import asyncio
from typing import Final

import asyncpg

from app.adapters.storage.catalogue_rows import (
    BATCHES,
    BRANDS,
    KEY_CHECKS,
    PRODUCTS,
    PROGRAMMES,
    StateEvents,
    batches_of,
    brands_of,
    products_of,
    programmes_of,
)
from app.adapters.storage.editions import Edition
from app.adapters.storage.postgresql.connections import Connections
from app.adapters.storage.postgresql.driver import Connection
from app.core.errors import StoreUnavailable
from app.core.model.catalogue import Catalogue
from app.core.model.label import Brand, CodeBatch, Product, Programme

_VERSION: Final = "SELECT version FROM catalogue_version"
# The transaction that made the version, since the server started: a database that was restored, or went on after a
# failover without its last commits, comes to the same version by another transaction or on another start.
_EDITION: Final = (
    "SELECT version, concat_ws(' ', xmin, tableoid, pg_postmaster_start_time()) FROM catalogue_version"
)
_EVENTS: Final = (
    "SELECT id, batch, first_serial, last_serial, state, reason, at FROM state_event"
    " WHERE id > $1 ORDER BY id"
)
_CANNOT_NAME: Final = (
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.FeatureNotSupportedError,
)
_IMPORTED: Final = "SELECT serial FROM imported_code WHERE digest = $1"


class PostgresqlCatalogues:
    """``CatalogueStore`` (contract in the port)."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._one_at_a_time = asyncio.Lock()
        self._events = StateEvents()

    async def version(self) -> int:
        """Return the present version; see the port."""
        return int((await self._connections.rows("Reading the catalogue's version", _VERSION))[0][0])

    async def edition(self) -> Edition | None:
        """Return the present version and its mark; see ``EditionedCatalogues``. Distributed databases may lack them."""
        try:
            rows = await self._connections.rows("Reading the catalogue's edition", _EDITION)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, _CANNOT_NAME):
                return None
            raise
        return Edition(int(rows[0][0]), str(rows[0][1]))

    async def load(self) -> Catalogue:
        """Return the present snapshot; see the port."""
        async with (
            self._one_at_a_time,  # the events are read onwards from the last ones
            self._connections.transaction(
                "Reading the catalogue", isolation="repeatable_read", readonly=True
            ) as read,
        ):
            version = await read.fetchval(_VERSION)
            batches = await read_batches(read)
            self._events.take(await read.fetch(_EVENTS, self._events.last_id))
            checks = dict(await read.fetch(KEY_CHECKS))
            return Catalogue.of(
                version=version, batches=batches, spans=self._events.spans(), key_checks=checks
            )

    async def find_imported(self, code_digest: bytes) -> int | None:
        """Return the serial of an imported code; see the port."""
        rows = await self._connections.rows("Looking an imported code up", _IMPORTED, code_digest)
        return int(rows[0][0]) if rows else None


async def read_brands(read: Connection) -> dict[int, Brand]:
    """Return every brand by id."""
    return brands_of(await read.fetch(BRANDS))


async def read_products(read: Connection) -> dict[int, Product]:
    """Return every product by id."""
    return products_of(await read.fetch(PRODUCTS), await read_brands(read))


async def read_programmes(read: Connection) -> dict[int, Programme]:
    """Return every label programme by id."""
    return programmes_of(await read.fetch(PROGRAMMES))


async def read_batches(read: Connection) -> list[CodeBatch]:
    """Return every batch, in the order of issue, with its present recall."""
    products, programmes = await read_products(read), await read_programmes(read)
    return batches_of(await read.fetch(BATCHES), products, programmes)
