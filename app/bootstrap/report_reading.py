"""Reading what people reported as suspicious; it goes on where the key file cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.bootstrap.requirements import require_fit
from app.bootstrap.sealing import sealing_under, sealing_without_keys
from app.bootstrap.workshop import Workshop
from app.core.errors import KeyFileInvalid, KeyMissing
from app.core.model.catalogue import Catalogue
from app.core.ports.reports import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsRead:
    """Reports, the newest first, the catalogue that knows their labels, and what is wrong with the keys, or ""."""

    reports: Sequence[Report]
    catalogue: Catalogue
    trouble: str = ""


async def read_reports(workshop: Workshop, *, since: datetime | None, limit: int) -> ReportsRead:
    """Read at most ``limit`` reports that were made at ``since`` or later. Raises ``StoreUnavailable``."""
    catalogue, trouble = await workshop.catalogues.load(), ""
    sealing = sealing_without_keys()
    try:
        ring = workshop.key_file.load()
        sealing = sealing_under(ring)
        require_fit(ring, catalogue, workshop.key_file)
    except (KeyFileInvalid, KeyMissing) as error:
        trouble = str(error)
    reports = await workshop.storage.reports(sealing).newest(since=since, limit=limit)
    return ReportsRead(reports=reports, catalogue=catalogue, trouble=trouble)
