"""Making and looking after what a service stands on: folder, key file, database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.adapters.clock import SystemClock
from app.bootstrap.requirements import require_database, require_fit
from app.bootstrap.storage import make_storage, open_storage, upgrade_storage
from app.core.errors import StoreUnavailable
from app.issuing.key_file import KeyFile
from app.settings import Settings

if TYPE_CHECKING:
    from app.adapters.storage.sqlite.examine import Examination


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What :func:`prepare` made: ``migrations`` applied (none where the database was there), and whether the keys."""

    migrations: tuple[str, ...]
    key_file: bool


async def prepare(settings: Settings) -> Preparation:
    """Make the data folder, keys and database where they are missing; what is there is left alone.

    Raises ``KeyMissing`` rather than make new keys beside a database whose labels need the old ones, and
    ``SchemaOutdated`` for a database of another release.
    """
    path, key_file = settings.database_path, KeyFile(settings.key_file)
    _make_folder(settings.data_dir)
    applied: Sequence[str] = ()
    if path is None:
        applied = await make_storage(settings)  # a server: whether it is there shows when it is asked
    else:
        _make_folder(path.parent)
    if path is None or path.exists():
        await _refuse_new_keys_for_old_labels(settings, key_file)
    made_keys = not key_file.exists()
    # keys first: a database file without keys is one whose keys were lost
    ring = key_file.create(now=SystemClock().now()) if made_keys else key_file.load()
    applied = applied or await make_storage(settings)
    storage = await open_storage(settings)
    try:
        await storage.registry.put_key_checks(ring.checks())
    finally:
        await storage.close()
    return Preparation(migrations=tuple(applied), key_file=made_keys)


async def _refuse_new_keys_for_old_labels(settings: Settings, key_file: KeyFile) -> None:
    storage = await open_storage(settings)
    try:
        catalogue = await storage.catalogues.load()
    finally:
        await storage.close()
    if catalogue.key_checks:
        require_fit(key_file.load(), catalogue, key_file)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"The folder {path} cannot be made ({error.strerror}). Set YANZHEN_DATA_DIR to one that can be written."
        ) from error


def upgrade_database(settings: Settings) -> Sequence[str]:
    """Apply every pending migration and return their names. Raises ``StoreUnavailable`` where there is no database."""
    require_database(settings)
    return asyncio.run(upgrade_storage(settings))


def examine_database(settings: Settings) -> Examination | None:
    """Return how the database file is set up and whether it is sound; None where the database is a server."""
    from app.adapters.storage.sqlite.examine import examine

    path = settings.database_path
    return None if path is None else examine(path)


def try_storage(settings: Settings) -> None:
    """Open the store and commit a row. Raises ``StoreUnavailable``, ``SchemaOutdated`` or ``SettingsInvalid``."""

    async def attempt() -> None:
        storage = await open_storage(settings)
        try:
            await storage.verifications.check()
        finally:
            await storage.close()

    asyncio.run(attempt())


def present_moment() -> datetime:
    """Return the present moment by the service's clock."""
    return SystemClock().now()
