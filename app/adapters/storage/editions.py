"""What processes that share copies call a catalogue: after a restore a version counts again, a mark does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.core.ports.verifications import CatalogueStore


@dataclass(frozen=True, slots=True)
class Edition:
    """What the catalogue is now: its version, and a mark that no other state of any database has for that version."""

    version: int
    mark: str


class EditionedCatalogues(CatalogueStore, Protocol):
    """A ``CatalogueStore`` that several processes read. Promise: ``edition`` is cheap and always current, and equal
    only for equal catalogues, also after the database was restored, or another server took over.
    """

    async def edition(self) -> Edition | None:
        """Return what the catalogue is called now; None where the database cannot name it, so that nothing is shared.

        Raises ``StoreUnavailable``.
        """
        ...
