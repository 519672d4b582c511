"""A backup: one ZIP of what a store wrote down, a manifest, and at its very end the SHA-256 of everything before.

Any unzip opens it; a flipped bit anywhere in it is noticed. It appears under its name whole and synced, or not at all,
and never in the place of another file. Keys are not in a database, so none are in its backup.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from app.core.errors import BackupInvalid, FileUnwritable, RuleBroken

FORMAT: Final = "yanzhen-backup"
VERSION: Final = 1
_MANIFEST: Final = "manifest.json"
_MOST_MANIFEST_BYTES: Final = 1 << 20
_DIGEST_CHARS: Final = 64
_CHUNK_BYTES: Final = 1 << 20
# what zipfile raises for offsets, names, dates, sizes and methods that cannot be, and for an encrypted entry
_NOT_SUCH_AN_ARCHIVE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError, OverflowError, RuntimeError, ValueError, struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What a store holds: ``schema`` names its migrations in order, ``rows`` counts each table."""

    schema: tuple[str, ...]
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself; ``created_at`` is ISO 8601 in UTC, ``store`` the kind of database."""

    store: str
    created_at: str
    program: str
    census: Census


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: ``text`` says what was seen, or where not ``ok`` what is wrong."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """``key_checks`` are what the database keeps of the keys it was made with (``Catalogue.key_checks``)."""

    checks: tuple[Check, ...]
    key_checks: Mapping[str, str]


class StoreBackups(Protocol):
    """What a store does for backups. ``folder`` is an empty folder of ours, readable by its owner only.

    Everything raises ``StoreUnavailable`` where the store or the disk fails.
    """

    store: str

    def scratch(self) -> Path | None:
        """Return the folder where a restore lays its files first, or None where any will do."""
        ...

    async def dump(self, folder: Path) -> Census:
        """Write one consistent state into files in ``folder``, while others record; they are sound when this returns.

        Raises ``SchemaOutdated`` for a database of another release.
        """
        ...

    async def require_empty(self) -> None:
        """Raise ``RuleBroken`` where the target holds anything."""
        ...

    async def inspect(self, folder: Path, expected: Census, *, thorough: bool) -> Inspection:
        """Look at what :meth:`dump` wrote. ``thorough`` reads every row, else only what makes it openable.

        Raises ``SchemaOutdated`` for files of another release and ``BackupInvalid`` for none of this store's.
        """
        ...

    async def restore(self, folder: Path) -> None:
        """Put it in the empty target, as a whole or not at all. Raises ``RuleBroken`` where it is not empty."""
        ...


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Make a folder of our own in ``beside`` and remove it at the end. Raises ``FileUnwritable``."""
    folder = beside / f".yanzhen-{secrets.token_hex(8)}"
    with as_file_errors(folder):
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def as_file_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` into ``FileUnwritable`` with the path and the remedy."""
    try:
        yield
    except OSError as error:
        raise FileUnwritable(
            f"{path} cannot be written ({error.strerror or error}). Check the folder, its permissions and the free "
            "space; nothing was changed."
        ) from error


def seal(folder: Path, manifest: Manifest, out: Path) -> str:
    """Make ``out`` of every file in ``folder`` and return the SHA-256 that stands at its end.

    Raises ``RuleBroken`` where there is a file at ``out`` already, ``FileUnwritable`` where it cannot be written.
    """
    part = folder / "sealed"
    with as_file_errors(out):
        files = sorted(folder.iterdir())
        with part.open("xb") as file:
            part.chmod(0o600)
            # level 1: facts shrink to about a third, at a rate above that of most disks
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.comment = b"0" * _DIGEST_CHARS
                archive.writestr(_MANIFEST, _manifest_text(manifest))
                for entry in files:
                    archive.write(entry, entry.name)
        with part.open("r+b") as file:
            digest = _digest_before_end(file)
            file.seek(-_DIGEST_CHARS, os.SEEK_END)
            file.write(digest.encode())
            file.flush()
            os.fsync(file.fileno())
    publish(part, out)
    return digest


def publish(part: Path, out: Path) -> None:
    """Give a synced file its name, never in the place of another; both must be on one file system.

    Raises ``RuleBroken`` where there is a file at ``out`` already, ``FileUnwritable`` where it cannot be done.
    """
    with as_file_errors(out):
        try:
            try:
                os.link(part, out)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links: claim the name, then fill it
                os.close(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                part.replace(out)
        except FileExistsError:
            raise already_there(out) from None
        part.unlink(missing_ok=True)
        folder = os.open(out.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def already_there(path: Path) -> RuleBroken:
    """Return the refusal to write over a file."""
    return RuleBroken(f"There is something at {path} already and it was left alone. Name a new file.")


def unseal(path: Path, folder: Path) -> Manifest:
    """Check the whole file, lay what is in it into ``folder`` and return its manifest.

    Raises ``BackupInvalid`` for a file that is damaged, cut off, or no backup; ``FileUnwritable`` for no room.
    """
    try:
        source = path.open("rb")
    except OSError as error:
        raise BackupInvalid(
            f"The backup {path} cannot be read ({error.strerror}). Check the path and its permissions."
        ) from None
    with source as file:
        try:
            digest = _digest_before_end(file)
            if file.read(_DIGEST_CHARS) != digest.encode():
                raise _damaged(path, "its checksum is another, or it is no backup at all")
            with zipfile.ZipFile(file) as archive:
                manifest = _manifest_of(archive, path)
                _lay_out(archive, folder)
        except _NOT_SUCH_AN_ARCHIVE as error:
            raise _damaged(path, "it is not such an archive") from error
    return manifest


def _lay_out(archive: zipfile.ZipFile, folder: Path) -> None:
    for entry in archive.infolist():
        if entry.filename == _MANIFEST:
            continue
        if entry.filename != Path(entry.filename).name or entry.filename.startswith("."):
            raise zipfile.BadZipFile
        target = folder / entry.filename
        with as_file_errors(target), archive.open(entry) as packed, target.open("xb") as file:
            target.chmod(0o600)
            shutil.copyfileobj(packed, file, _CHUNK_BYTES)
            file.flush()
            os.fsync(file.fileno())


def _digest_before_end(file: BinaryIO) -> str:
    """Return the SHA-256 of all but the digest at the end; leaves the file there."""
    left = file.seek(0, os.SEEK_END) - _DIGEST_CHARS
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _manifest_text(manifest: Manifest) -> str:
    value = {
        "format": FORMAT,
        "version": VERSION,
        "store": manifest.store,
        "created_at": manifest.created_at,
        "program": manifest.program,
        "schema": list(manifest.census.schema),
        "rows": dict(manifest.census.rows),
        "notice": "The key file is not in here and must be backed up apart from this.",
    }
    return json.dumps(value, indent=2) + "\n"


def _manifest_of(archive: zipfile.ZipFile, path: Path) -> Manifest:
    if archive.getinfo(_MANIFEST).file_size > _MOST_MANIFEST_BYTES:
        raise _damaged(path, "its manifest is too long")
    try:
        value = json.loads(archive.read(_MANIFEST))
        if value["format"] != FORMAT:
            raise _damaged(path, "its format is another")
        if value["version"] != VERSION:
            raise BackupInvalid(
                f"The backup {path} has form {value['version']!r}, this program reads {VERSION}. Use the program that "
                "made it."
            )
        return Manifest(
            store=str(value["store"]),
            created_at=str(value["created_at"]),
            program=str(value["program"]),
            census=Census(
                schema=tuple(map(str, value["schema"])),
                rows={str(name): int(rows) for name, rows in value["rows"].items()},
            ),
        )
    except (ValueError, TypeError, AttributeError, KeyError):
        raise _damaged(path, "its manifest cannot be read") from None


def _damaged(path: Path, why: str) -> BackupInvalid:
    return BackupInvalid(
        f"The backup {path} cannot be used: {why}. Nothing was changed; take another backup."
    )
