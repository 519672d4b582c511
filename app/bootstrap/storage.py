"""The store that the settings name: a SQLite file of one process, or a PostgreSQL server that many processes share.

A store's library is imported when that store is opened, so a command on a file does not pay for the server's driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from app.adapters.spending import SpendingTable
from app.adapters.storage.editions import EditionedCatalogues
from app.core.errors import SchemaOutdated
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Verdict
from app.core.model.verification import Draft
from app.core.ports.call_records import CallRecords
from app.core.ports.clock import Clock
from app.core.ports.correspondence import Correspondence
from app.core.ports.leadership import Leadership
from app.core.ports.outbox import Outbox
from app.core.ports.recall_watches import RecallWatches
from app.core.ports.reports import Reports
from app.core.ports.sealing import Sealing
from app.core.ports.verifications import CatalogueStore, VerificationStore
from app.issuing.ports import LabelRegistry
from app.settings import Settings

_LOCAL: Final = "/var/run/postgresql"


class RecordKept(VerificationStore, Protocol):
    """The record as the composition root knows it."""

    async def preview(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        """Return what ``record`` would answer now, and record nothing."""
        ...

    async def forget(self, now: datetime) -> int:
        """Drop what may not be kept any longer, a slice a call; return how many rows went."""
        ...


class ClosingLeadership(Leadership, Protocol):
    """Leadership with a connection of its own."""

    async def close(self) -> None:
        """Give every role up, and close."""
        ...


class Storage(Protocol):
    """An open store; each part keeps the contract of its port. ``close`` ends all of them, the record last."""

    @property
    def verifications(self) -> RecordKept:
        """The record."""
        ...

    @property
    def catalogues(self) -> CatalogueStore:
        """The catalogue."""
        ...

    @property
    def registry(self) -> LabelRegistry:
        """The register of brands, products and batches."""
        ...

    @property
    def correspondence(self) -> Correspondence:
        """What callers chose, and were told."""
        ...

    @property
    def spending(self) -> SpendingTable:
        """What was spent today."""
        ...

    @property
    def calls(self) -> CallRecords:
        """That calls were."""
        ...

    def editions(self) -> EditionedCatalogues | None:
        """Return the catalogue as the processes on this record share it; None where there is one only."""
        ...

    def outbox(self, sealing: Sealing) -> Outbox:
        """Return the outbox; it needs the key file, which the other parts do without."""
        ...

    def reports(self, sealing: Sealing) -> Reports:
        """Return what callers report; what they write is sealed under the key file."""
        ...

    def recall_watches(self, sealing: Sealing) -> RecallWatches:
        """Return who wants to be told of recalls; where to is sealed under the key file."""
        ...

    def leadership(self, clock: Clock, /) -> ClosingLeadership | None:
        """Return who of all processes on this record leads; None where there is one only."""
        ...

    async def erase(self, token: bytes) -> int:
        """Delete what is kept under a caller's token; return how many rows went. Raises ``StoreUnavailable``."""
        ...

    async def close(self) -> None:
        """Finish what was asked, then close."""
        ...


async def open_storage(settings: Settings) -> Storage:
    """Open the store. Raises ``StoreUnavailable``, ``SchemaOutdated`` or ``SettingsInvalid`` with the remedy."""
    path = settings.database_path
    if path is not None:
        from app.adapters.storage.sqlite import open_sqlite

        return await open_sqlite(path)
    from app.adapters.storage.postgresql import open_postgresql

    return await open_postgresql(settings.database_url.get_secret_value())


async def make_storage(settings: Settings) -> Sequence[str]:
    """Make the schema where there is none and return its migrations' names; leave alone one that is there.

    Raises ``SchemaOutdated`` for one of another release.
    """
    path = settings.database_path
    if path is not None and path.exists():
        return ()
    if path is None:
        try:
            storage = await open_storage(settings)
        except SchemaOutdated:
            if await _has_schema(settings):
                raise
        else:
            await storage.close()
            return ()
    return await upgrade_storage(settings)


async def upgrade_storage(settings: Settings) -> Sequence[str]:
    """Apply every pending migration and return their names. Raises ``StoreUnavailable`` or ``SchemaOutdated``."""
    path = settings.database_path
    if path is not None:
        from app.adapters.storage.sqlite import upgrade_sqlite

        return await asyncio.to_thread(upgrade_sqlite, path)
    from app.adapters.storage.postgresql import upgrade_postgresql

    return await upgrade_postgresql(settings.database_url.get_secret_value())


def storage_place(settings: Settings) -> str:
    """Return where the record is, for people: a path, or a server and its database without user and password."""
    path = settings.database_path
    if path is not None:
        return str(path)
    parts = urlsplit(settings.database_url.get_secret_value())
    host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", [_LOCAL])[0]
    return f"postgresql://{host}/{parts.path.lstrip('/')}"


def is_shared(settings: Settings) -> bool:
    """Tell whether several processes may serve on this store."""
    return settings.database_path is None


async def _has_schema(settings: Settings) -> bool:
    from app.adapters.storage.postgresql.connections import as_store_errors, connect

    connection = await connect(settings.database_url.get_secret_value())
    try:
        with as_store_errors("Reading the schema version"):
            return bool(await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL"))
    finally:
        connection.terminate()
