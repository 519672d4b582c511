"""SQLite's files watched call by call: every write, truncation, sync, creation and deletion stands in a log.

The contents lie in ordinary files; the log knows what a loss of power could undo (``survivors.py``). A call fails where
``WatchedFiles.before`` raises: ``files.before = nth(7, lambda call: io_error(call.kind))`` fails the seventh call and
no other, ``files.before = None`` mends it; ``files.cut_power()`` fails every call from now on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import apsw

Kind = Literal[
    "open", "read", "write", "truncate", "sync", "folder", "size", "delete"
]  # folder: a sync of it
Before = Callable[["Call"], None]

_JOURNALS: Final = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
_RESULTS: Final[dict[Kind, int]] = {
    "open": apsw.SQLITE_CANTOPEN,
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "folder": apsw.SQLITE_IOERR_DIR_FSYNC,
    "size": apsw.SQLITE_IOERR_FSTAT,
    "delete": apsw.SQLITE_IOERR_DELETE,
}
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of SQLite on a file, before it is carried out; ``file`` is its name without the folder."""

    kind: Kind
    file: str
    offset: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Wrote:
    """``data`` was written to ``file``, a number that stays with the contents whatever their name."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncated:
    """``file`` was cut or stretched to ``size`` bytes."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """``file`` was synced (None: no file); ``folder`` tells that its folder was: names made and deleted last then."""

    file: int | None
    folder: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sync of ``file`` failed, and what was written since the last one is clean in memory: no later sync writes it.

    Linux does so. Some of it may have reached the device.
    """

    file: int


@dataclass(frozen=True, slots=True)
class Named:
    """``name`` now means ``file``, or nothing (None) with its deletion; ``folder`` as in :class:`Synced`."""

    name: str
    file: int | None
    folder: bool = False


Operation = Wrote | Truncated | Synced | Dropped | Named


class PowerLost(apsw.IOError):
    """Every call after :meth:`WatchedFiles.cut_power`."""

    extendedresult = apsw.SQLITE_IOERR


def io_error(kind: Kind) -> apsw.Error:
    """Return the error that makes SQLite see a call of this kind fail, as a broken device would."""
    if kind == "open":
        return _error(apsw.CantOpenError("unable to open database file"), _RESULTS[kind])
    return _error(apsw.IOError("disk I/O error"), _RESULTS[kind])


def disk_full() -> apsw.Error:
    """Return the error of a write for which there is no space."""
    return _error(apsw.FullError("database or disk is full"), apsw.SQLITE_FULL)


def read_only() -> apsw.Error:
    """Return the error of a write to what may only be read."""
    return _error(apsw.ReadOnlyError("attempt to write a readonly database"), apsw.SQLITE_READONLY)


def nth(number: int, error: Callable[[Call], apsw.Error], kinds: frozenset[Kind] | None = None) -> Before:
    """Return what fails the ``number``-th call from now on (counted from 1, of ``kinds`` only), and no other."""
    left = itertools.count(number, -1)

    def before(call: Call) -> None:
        if (kinds is None or call.kind in kinds) and next(left) == 1:
            raise error(call)

    return before


def _error(error: apsw.Error, result: int) -> apsw.Error:
    error.extendedresult = result
    error.result = result & 0xFF
    return error


class WatchedFiles(apsw.VFS):
    """The file system of one test: files in ``folder``, over SQLite's own for this machine. :meth:`end` it.

    ``operations`` is the log, ``calls`` counts what may fail. Nothing is really synced. Not for a shared folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vfs_name = f"watched-{next(_numbers)}"
        self.before: Before | None = None
        self.operations: list[Operation] = []
        self.calls = 0
        self._files = itertools.count(1)
        self._names: dict[str, int] = {}
        for path in sorted(folder.iterdir()):
            if not path.name.endswith("-shm"):
                self._names[path.name] = next(self._files)
        self.first_names = dict(self._names)  # what was there, and durable, from the start
        super().__init__(self.vfs_name, "")

    def end(self) -> None:
        """Take the file system out of SQLite's list; every connection must be closed."""
        self.unregister()

    def cut_power(self) -> None:
        """Fail every call from now on; what stands in the files then is not what survives."""

        def dark(_call: Call) -> None:
            raise PowerLost("the power is gone")

        self.before = dark

    def tell(self, kind: Kind, file: str, offset: int = 0, size: int = 0) -> None:
        """Count a call, and let it fail."""
        self.calls += 1
        if self.before is not None:
            self.before(Call(kind=kind, file=file, offset=offset, size=size))

    def sync_folder(self) -> None:
        """Make the names in the folder durable. Raises what :attr:`before` does."""
        self.tell("folder", "")
        self.operations.append(Synced(None, folder=True))

    def number(self, name: str) -> int:
        """Return the file of a name, a new one where there was none."""
        file = self._names.get(name)
        if file is None:
            file = self._names[name] = next(self._files)
            self.operations.append(Named(name, file))
        return file

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return _WatchedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's own
        name = Path(filename).name
        self.tell("delete", name)
        super().xDelete(filename, syncdir)
        self._names.pop(name, None)
        self.operations.append(Named(name, None, folder=bool(syncdir)))


class _WatchedFile(apsw.VFSFile):
    def __init__(self, files: WatchedFiles, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._files = files
        self._name = Path(path).name if path else ""
        # SQLite syncs the folder with the first sync of a journal or log that it opened so as to create it
        self._folder_waits = bool(flags[0] & _JOURNALS and flags[0] & apsw.SQLITE_OPEN_CREATE)
        files.tell("open", self._name)
        super().__init__("", name, flags)
        self._number = files.number(self._name)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._files.tell("read", self._name, offset, amount)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._files.tell("write", self._name, offset, len(data))
        super().xWrite(data, offset)
        self._files.operations.append(Wrote(self._number, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._files.tell("truncate", self._name, size=newsize)
        super().xTruncate(newsize)
        self._files.operations.append(Truncated(self._number, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - nothing need reach a device here
        self._files.tell("sync", self._name)
        self._files.operations.append(Synced(self._number, folder=False))
        if self._folder_waits:
            self._folder_waits = False
            with suppress(apsw.Error):  # SQLite does not look whether it worked, and does not try again
                self._files.sync_folder()

    def xFileSize(self) -> int:  # noqa: N802
        self._files.tell("size", self._name)
        return super().xFileSize()
