"""The key file: JSON outside the database, readable by its owner only, replaced as a whole or not at all.

A reader never needs the lock, because every version of the file appears by one rename; the lock only keeps two
writers from losing each other's key.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from app.core.errors import FileUnwritable, KeyFileInvalid, KeyMissing, RuleBroken
from app.issuing.codebook import KEY_BYTES, LAYOUTS
from app.issuing.keyring import MAX_TAG_KEY_ID, KeptKey, Keyring, SecretName

_FORMAT: Final = "yanzhen-keys"
_VERSION: Final = 1
_MAX_BYTES: Final = 16 << 20  # 65,535 tag keys take less than half of it
_NOTICE: Final = "Keep a backup of this file in a safe place. Without it no label can be recognised."
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyFile:
    """The key file at a path. Failures are KeyMissing (no file), KeyFileInvalid or FileUnwritable, with a remedy."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Tell whether there is a file at the path, whatever it holds."""
        return self.path.exists()

    def load(self) -> Keyring:
        """Read the keys. Refuses a file that others may read, unless it is on a read-only mount of secrets."""
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                read_only = bool(os.fstatvfs(file.fileno()).f_flag & os.ST_RDONLY)
                if not mode_is_private(mode, read_only_mount=read_only):
                    raise KeyFileInvalid(
                        f"Others may read or write the key file {self.path} (mode {stat.S_IMODE(mode):04o}). "
                        f"Run `chmod 600 {self.path}`; if strangers had access to it, treat the keys as known."
                    )
                text = file.read(_MAX_BYTES + 1)
        except FileNotFoundError:
            raise KeyMissing(
                f"There is no key file at {self.path}. Restore it from its backup, or run `yanzhen init` for a "
                "new database; new keys never fit old labels."
            ) from None
        except OSError as error:
            raise KeyFileInvalid(
                f"The key file {self.path} cannot be read ({error.strerror}). Make it readable for the service's "
                "own user, or set YANZHEN_KEY_FILE to another path."
            ) from error
        return self._decode(text)

    def create(self, *, now: datetime) -> Keyring:
        """Write a file of new random keys; raises RuleBroken rather than touch an existing one."""
        ring = Keyring.fresh(now=now)
        with self._lock():
            if self.path.exists():
                raise RuleBroken(
                    f"There is a key file at {self.path} already and it was left alone. Use it, or name another path."
                )
            self._replace(ring)
        return ring

    def rotate(self, *, now: datetime) -> Keyring:
        """Add a tag key and make it current; all others stay, so old labels stay valid. Safe while a server reads."""
        with self._lock():
            ring = self.load().with_new_tag_key(now=now)
            self._replace(ring)
        return ring

    @contextmanager
    def _lock(self) -> Iterator[None]:
        path = self.path.with_name(self.path.name + ".lock")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _replace(self, ring: Keyring) -> None:
        part = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_encode(ring))
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(self.path)
            finally:
                part.unlink(missing_ok=True)
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> FileUnwritable:
        return FileUnwritable(
            f"The key file {self.path} cannot be written ({error.strerror}). Check the folder's permissions and the "
            "free space; nothing was changed."
        )

    def _decode(self, text: bytes) -> Keyring:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise KeyFileInvalid(
                f"The key file {self.path} is damaged: it is not JSON. Restore it from its backup."
            ) from None
        try:
            return _keyring_of(value)
        except ValueError as error:
            # the error may quote the file: only its own sentences are shown, never a value
            reason = (
                str(error) if isinstance(error, _Malformed) else "a field is missing or of the wrong kind"
            )
            raise KeyFileInvalid(
                f"The key file {self.path} is not a key file of this service ({reason}). Restore it from its backup."
            ) from None


class _Malformed(ValueError):
    pass


def mode_is_private(mode: int, *, read_only_mount: bool) -> bool:
    """Tell whether a file of this mode is safe: owner only, or on a read-only mount and not writable by others."""
    if read_only_mount:
        return not mode & (stat.S_IWGRP | stat.S_IWOTH)
    return not mode & _OTHERS


def _encode(ring: Keyring) -> bytes:
    value = {
        "format": _FORMAT,
        "version": _VERSION,
        "notice": _NOTICE,
        "permutation": {str(layout): key.hex() for layout, key in ring.permutation_keys.items()},
        "tag": [_kept_value(kept) for kept in ring.tag_keys],
        "secrets": {str(name): [_kept_value(kept) for kept in keys] for name, keys in ring.secrets.items()},
    }
    return json.dumps(value, indent=2).encode() + b"\n"


def _kept_value(kept: KeptKey) -> dict[str, str | int]:
    return {"id": kept.id, "created_at": kept.created_at.isoformat(timespec="seconds"), "key": kept.key.hex()}


def _keyring_of(value: object) -> Keyring:
    fields = _fields(value)
    if fields.get("format") != _FORMAT:
        raise _Malformed("its `format` is another")
    if fields.get("version") != _VERSION:
        raise _Malformed(f"its version is not {_VERSION}; it was written by another release")
    permutation = {int(layout): _key(text) for layout, text in _fields(fields.get("permutation")).items()}
    if permutation.keys() != LAYOUTS.keys():
        raise _Malformed("it does not have one permutation key for each layout")
    tag_keys = _kept_keys(fields.get("tag"))
    if not tag_keys or tag_keys[-1].id > MAX_TAG_KEY_ID:
        raise _Malformed("its tag keys are missing or have ids above 65535")
    named = {SecretName(name): _kept_keys(keys) for name, keys in _fields(fields.get("secrets")).items()}
    if not all(named.get(name) for name in SecretName):
        raise _Malformed("a secret is missing")
    return Keyring(permutation_keys=permutation, tag_keys=tag_keys, secrets=named)


def _kept_keys(value: object) -> tuple[KeptKey, ...]:
    if not isinstance(value, list):
        raise _Malformed("a list of keys is missing")
    keys = tuple(_kept_key(_fields(item)) for item in value)
    ids = [kept.id for kept in keys]
    if ids != sorted(set(ids)) or (ids and ids[0] < 1):
        raise _Malformed("its key ids are not rising")
    return keys


def _kept_key(fields: Mapping[str, object]) -> KeptKey:
    number, created_at = fields.get("id"), fields.get("created_at")
    if not isinstance(number, int) or not isinstance(created_at, str):
        raise _Malformed("a key has no id or no time")
    return KeptKey(id=number, key=_key(fields.get("key")), created_at=datetime.fromisoformat(created_at))


def _fields(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _Malformed("a field is missing or of the wrong kind")
    return value


def _key(text: object) -> bytes:
    key = bytes.fromhex(text) if isinstance(text, str) else b""
    if len(key) != KEY_BYTES:
        raise _Malformed(f"a key is not {KEY_BYTES} bytes")
    return key
