"""A catalogue in memory as several processes see it, which can be restored to an earlier state like a database."""

from __future__ import annotations

from app.adapters.storage.editions import Edition
from app.core.errors import StoreUnavailable
from app.core.model.catalogue import Catalogue


class EditionedMemory:
    """``EditionedCatalogues``. ``loads`` counts what was read; ``down`` makes reading fail, ``nameless`` leaves it
    without a name.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._mark = 0
        self.imported: dict[bytes, int] = {}
        self.loads = 0
        self.down = False
        self.nameless = False

    def become(self, catalogue: Catalogue) -> None:
        """Commit a change, or restore a backup: the version may be one that was there before."""
        self._catalogue = catalogue
        self._mark += 1

    async def edition(self) -> Edition | None:
        if self.nameless:
            return None
        return Edition(await self.version(), str(self._mark))

    async def version(self) -> int:
        if self.down:
            raise StoreUnavailable
        return self._catalogue.version

    async def load(self) -> Catalogue:
        if self.down:
            raise StoreUnavailable
        self.loads += 1
        return self._catalogue

    async def find_imported(self, code_digest: bytes) -> int | None:
        return self.imported.get(code_digest)
