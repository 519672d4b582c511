"""What a device may still hold after the power went: all that was synced, and any of what was not.

Of the writes since a file's last sync a random part survives: none, all, the first few, the first few with the last
one torn at a sector, any subset, or any sectors of any subset. The same goes for what a failed sync dropped, under all
that was synced later. Names made or deleted since the folder's last sync survive in their order up to some moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Final

from tests.proof.files.vfs import Dropped, Named, Operation, Synced, Truncated, Wrote

Image = dict[str, bytes]

_SECTOR: Final = 512
_Change = Wrote | Truncated


class Device:
    """Follows a log of operations, starting from files that are durable; ``names`` are their numbers in the log."""

    def __init__(self, image: Mapping[str, bytes], names: Mapping[str, int]) -> None:
        self._names = dict(names)
        self._named: list[Named] = []
        self._kept = {file: bytearray(image[name]) for name, file in names.items()}
        self._waiting: dict[int, list[_Change]] = {file: [] for file in self._kept}
        # of a file with a failed sync, each time what that dropped, and what was synced later, over it
        self._over: dict[int, list[tuple[list[_Change], list[_Change]]]] = {}

    def carry_out(self, operation: Operation) -> None:
        """Take the next operation of the log."""
        match operation:
            case Wrote() | Truncated():
                self._waiting[operation.file].append(operation)
            case Dropped():
                self._over.setdefault(operation.file, []).append((self._waiting[operation.file], []))
                self._waiting[operation.file] = []
            case Synced():
                if operation.file is not None:
                    self._settle(operation.file)
                if operation.folder:
                    self._settle_names()
            case Named():
                if operation.file is not None and operation.file not in self._kept:
                    self._kept[operation.file], self._waiting[operation.file] = bytearray(), []
                self._named.append(operation)
                if operation.folder:
                    self._settle_names()

    def survivors(self, luck: Random) -> Image:
        """Return the files that somebody finds who turns the power on again."""
        names = dict(self._names)
        for named in self._named[: luck.randint(0, len(self._named))]:
            _rename(names, named)
        image: Image = {}
        for name, file in sorted(names.items()):
            contents = bytearray(self._kept[file])
            for dropped, synced in self._over.get(file, ()):
                _apply_all(contents, _surviving(dropped, luck))
                _apply_all(contents, synced)
            _apply_all(contents, _surviving(self._waiting[file], luck))
            image[name] = bytes(contents)
        return image

    def _settle(self, file: int) -> None:
        if file in self._over:
            self._over[file][-1][1].extend(self._waiting[file])
        else:
            _apply_all(self._kept[file], self._waiting[file])
        self._waiting[file] = []

    def _settle_names(self) -> None:
        for named in self._named:
            _rename(self._names, named)
        self._named = []


def _rename(names: dict[str, int], named: Named) -> None:
    if named.file is None:
        names.pop(named.name, None)
    else:
        names[named.name] = named.file


def _apply(contents: bytearray, change: _Change) -> None:
    length = change.size if isinstance(change, Truncated) else change.offset
    if len(contents) < length:
        contents.extend(bytes(length - len(contents)))
    if isinstance(change, Truncated):
        del contents[change.size :]
    else:
        contents[change.offset : change.offset + len(change.data)] = change.data


def _apply_all(contents: bytearray, changes: Iterable[_Change]) -> None:
    for change in changes:
        _apply(contents, change)


def _surviving(waiting: Sequence[_Change], luck: Random) -> Iterator[_Change]:
    if not waiting:
        return
    fate = luck.choice(("none", "all", "first", "torn", "some", "sectors"))
    if fate == "all":
        yield from waiting
    elif fate in ("first", "torn"):
        first = luck.randrange(len(waiting))
        yield from waiting[:first]
        if fate == "torn":
            yield from _torn(waiting[first], luck)
    elif fate != "none":
        share = luck.choice((0.1, 0.5, 0.9))
        for change in waiting:
            if luck.random() < share:
                yield from (change,) if fate == "some" else _scattered(change, luck)


def _torn(change: _Change, luck: Random) -> Sequence[_Change]:
    sectors = _sectors(change)
    return sectors[: luck.randint(0, len(sectors))]


def _scattered(change: _Change, luck: Random) -> Sequence[_Change]:
    return [sector for sector in _sectors(change) if luck.random() < 0.5]


def _sectors(change: _Change) -> Sequence[_Change]:
    """Cut a write where the device's sectors meet; a truncation is one whole."""
    if isinstance(change, Truncated):
        return (change,)
    end = change.offset + len(change.data)
    starts = [change.offset, *range((change.offset // _SECTOR + 1) * _SECTOR, end, _SECTOR)]
    return [
        Wrote(change.file, start, change.data[start - change.offset : stop - change.offset])
        for start, stop in zip(starts, [*starts[1:], end], strict=True)
    ]
