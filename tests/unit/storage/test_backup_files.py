"""A backup file whose sum is right and whose archive is none is refused as any damaged file is."""

from __future__ import annotations

import io
import struct
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from app.adapters.storage.backups import unseal
from app.core.errors import BackupInvalid

_CENTRAL = b"PK\x01\x02"
_END = b"PK\x05\x06"


def archive() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
        made.comment = b"0" * 64
        made.writestr("manifest.json", "{}")
        made.writestr("record.db", bytes(100))
    return written.getvalue()


def changed(mark: bytes, offset: int, octets: bytes) -> bytes:
    """Return the archive with other octets at ``offset`` of the first record that begins with ``mark``."""
    data = archive()
    at = data.index(mark) + offset
    return data[:at] + octets + data[at + len(octets) :]


@pytest.mark.parametrize(
    "data",
    [
        changed(_CENTRAL, 8, b"\x01\0"),  # an encrypted entry
        changed(_CENTRAL, 10, b"\x63\0"),  # a method there is none of
        changed(_CENTRAL, 42, struct.pack("<I", 0xFFFFFFF0)),  # an offset beyond the end
        changed(_END, 12, struct.pack("<I", 0xFFFFFFF0)),  # a directory that would begin before the file
        changed(_END, 16, struct.pack("<I", 0xFFFFFFF0)),
        archive()[200:],
        b"",
    ],
    ids=[
        "encrypted",
        "unknown method",
        "offset",
        "directory before the file",
        "directory after it",
        "end alone",
        "empty",
    ],
)
def test_an_archive_that_cannot_be_is_a_damaged_backup(data: bytes, tmp_path: Path) -> None:
    path, folder = tmp_path / "backup", tmp_path / "laid out"
    folder.mkdir()
    body = data[:-64]
    path.write_bytes(body + sha256(body).hexdigest().encode())
    with pytest.raises(BackupInvalid, match="take another backup"):
        unseal(path, folder)
    assert list(folder.iterdir()) == []
