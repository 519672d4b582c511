"""The workshop: what commands that issue and administer work with, also while a server runs on the same data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.adapters.clock import SystemClock
from app.bootstrap.requirements import require_database, require_fit
from app.bootstrap.storage import Storage, open_storage, storage_place
from app.core.ports.clock import Clock
from app.core.ports.verifications import CatalogueStore
from app.issuing.batches import BatchIssuing
from app.issuing.imports import CodeImport
from app.issuing.key_file import KeyFile
from app.issuing.keyring import Keyring
from app.issuing.life_cycle import LabelLifeCycle
from app.issuing.ports import LabelRegistry
from app.issuing.recogniser import CodebookRecogniser
from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What commands that issue and administer work with; it can be open while a server runs on the same data."""

    settings: Settings
    clock: Clock
    registry: LabelRegistry
    catalogues: CatalogueStore
    storage: Storage
    key_file: KeyFile

    @property
    def place(self) -> str:
        """Where the database is, for people."""
        return storage_place(self.settings)

    async def keyring(self) -> Keyring:
        """Return the keys. Raises ``KeyMissing`` or ``KeyFileInvalid`` where they do not fit the database."""
        ring = self.key_file.load()
        require_fit(ring, await self.catalogues.load(), self.key_file)
        return ring

    @property
    def url_prefix(self) -> str:
        """What stands before the digits in the QR codes of batches issued now."""
        return f"{self.settings.public_url}/q/"

    async def issuing(self) -> BatchIssuing:
        """Return the issuing of batches. Raises as :meth:`keyring`."""
        await self.keyring()
        return BatchIssuing(self.registry, load_keys=self.key_file.load, clock=self.clock)

    def life_cycle(self) -> LabelLifeCycle:
        """Return the life cycle of labels; only lists of codes need the keys."""
        recogniser = CodebookRecogniser(self.key_file.load)
        return LabelLifeCycle(
            self.registry, catalogues=self.catalogues, recogniser=recogniser, clock=self.clock
        )

    def code_import(self) -> CodeImport:
        """Return the import of codes that another system made."""
        recogniser = CodebookRecogniser(self.key_file.load)
        return CodeImport(self.registry, catalogues=self.catalogues, recogniser=recogniser, clock=self.clock)


@asynccontextmanager
async def open_workshop(settings: Settings) -> AsyncIterator[Workshop]:
    """Open the database for issuing. Raises ``StoreUnavailable`` or ``SchemaOutdated`` with the remedy."""
    require_database(settings)
    storage = await open_storage(settings)
    try:
        yield Workshop(
            settings=settings,
            clock=SystemClock(),
            registry=storage.registry,
            catalogues=storage.catalogues,
            storage=storage,
            key_file=KeyFile(settings.key_file),
        )
    finally:
        await storage.close()
