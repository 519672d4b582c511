"""Backups of the configured store, and their way back; the key file is looked at and never copied."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from app.adapters.clock import SystemClock
from app.adapters.storage.backups import (
    Check,
    Manifest,
    StoreBackups,
    already_there,
    as_file_errors,
    scratch_folder,
    seal,
    unseal,
)
from app.bootstrap.requirements import require_database, require_fit
from app.core.errors import BackupInvalid, KeyFileInvalid, KeyMissing
from app.core.model.catalogue import Catalogue
from app.issuing.key_file import KeyFile
from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupMade:
    """A backup that is whole and synced; ``sha256`` is what stands at its end."""

    path: Path
    size_bytes: int
    sha256: str
    created_at: str
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """What was seen of a backup; ``restored`` only where every check passed and it was asked for."""

    manifest: Manifest
    checks: tuple[Check, ...]
    restored: bool

    @property
    def ok(self) -> bool:
        """True where every check passed."""
        return all(check.ok for check in self.checks)


def back_up(settings: Settings, out: Path) -> BackupMade:
    """Write a backup of the database to ``out``, while a service runs on it or not.

    Raises ``RuleBroken`` where there is a file already, ``FileUnwritable``, ``StoreUnavailable``, ``SchemaOutdated``.
    """
    if out.exists():
        raise already_there(out)
    backups = _backups(settings)
    created_at = SystemClock().now().isoformat(timespec="seconds")
    with scratch_folder(out.absolute().parent) as folder:
        census = asyncio.run(backups.dump(folder))
        manifest = Manifest(
            store=backups.store, created_at=created_at, program=version("yanzhen"), census=census
        )
        digest = seal(folder, manifest, out)
    return BackupMade(
        path=out, size_bytes=out.stat().st_size, sha256=digest, created_at=created_at, rows=census.rows
    )


def restore(settings: Settings, file: Path, *, verify: bool, keep: bool) -> Restoration:
    """Look a backup over and, with ``keep``, put it in place of nothing. ``verify`` reads every row and wants the keys.

    Raises ``BackupInvalid`` for a damaged file or another store's, ``SchemaOutdated`` for another release's,
    ``RuleBroken`` where there is a database already.
    """
    backups = _backups(settings, must_exist=False)
    if keep:
        asyncio.run(backups.require_empty())
        for folder in {settings.data_dir, backups.scratch() or settings.data_dir}:
            with as_file_errors(folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = backups.scratch()
    with scratch_folder(
        beside if beside is not None and beside.exists() else Path(tempfile.gettempdir())
    ) as scratch:
        manifest = unseal(file, scratch)
        if manifest.store != backups.store:
            raise BackupInvalid(
                f"The backup {file} is of {manifest.store}, and YANZHEN_DATABASE_URL names {backups.store}. Set the "
                "address of an empty database of the same kind."
            )
        seen = asyncio.run(backups.inspect(scratch, manifest.census, thorough=verify))
        keys = _keys(settings, seen.key_checks)
        checks = (Check(name="file", ok=True, text=f"whole, made {manifest.created_at}"), *seen.checks)
        checks += (keys,) if verify or keys.ok else ()
        sound = all(check.ok for check in checks)
        if keep and sound:
            asyncio.run(backups.restore(scratch))
    return Restoration(manifest=manifest, checks=checks, restored=keep and sound)


def _backups(settings: Settings, *, must_exist: bool = True) -> StoreBackups:
    """Return the backups of the store that the settings name."""
    path = settings.database_path
    if path is None:
        from app.adapters.storage.postgresql.backups import PostgresqlBackups

        return PostgresqlBackups(settings.database_url.get_secret_value())
    from app.adapters.storage.sqlite.backups import SqliteBackups

    if must_exist:
        require_database(settings)
    return SqliteBackups(path)


def _keys(settings: Settings, key_checks: Mapping[str, str]) -> Check:
    """Tell whether the present key file is the one that the backed-up labels need."""
    key_file = KeyFile(settings.key_file)
    catalogue = Catalogue.of(version=0, batches=(), spans={}, key_checks=key_checks)
    try:
        require_fit(key_file.load(), catalogue, key_file)
    except (KeyMissing, KeyFileInvalid) as error:
        return Check(name="keys", ok=False, text=str(error))
    return Check(name="keys", ok=True, text=f"{key_file.path} fits")
