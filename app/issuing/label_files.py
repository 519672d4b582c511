"""Label files for printers: a streamed CSV, optionally zipped and encrypted, put in place whole or not at all.

A plain file that was broken off is resumed from its `.part`; the same order always gives the same bytes. Age chooses
a random key for every file, so an encrypted file starts again and differs each time, though not in what it holds.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from app.core.errors import FileUnwritable, RuleBroken
from app.core.model.label import CodeBatch
from app.issuing.codebook import Codebook
from app.issuing.label_lines import HEADER, LabelLines
from app.issuing.label_wrapping import AgeRecipient, Block, zipped

CHECKPOINT_LINES: Final = 1 << 20
_REHASH_BYTES: Final = 1 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """A finished label file: `lines` labels without the header, its size, and the SHA-256 that stands beside it.

    `resumed_at_line` is how many lines an earlier, broken-off export had left for this one, 0 as a rule.
    """

    path: Path
    lines: int
    size_bytes: int
    sha256: str
    resumed_at_line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFileOrder:
    """Which labels of a batch go into which file. Serials are global; None means the batch's own ends.

    A name that ends in `.zip` gives a ZIP; `recipient`, an age public key, encrypts the file as a whole, and `.age`
    at the end of the name is then set aside before the name is looked at.
    """

    batch: CodeBatch
    path: Path
    first_serial: int | None = None
    last_serial: int | None = None
    recipient: str | None = None

    def serials(self) -> range:
        """Return the global serials; raises RuleBroken outside the batch or for imported codes."""
        batch = self.batch
        if batch.imported:
            raise RuleBroken(
                f"The codes of batch {batch.id} were made elsewhere and only digests of them are kept, so they "
                "cannot be written out. Use the file they came from."
            )
        first = batch.first_serial if self.first_serial is None else self.first_serial
        last = batch.last_serial if self.last_serial is None else self.last_serial
        if not batch.first_serial <= first <= last <= batch.last_serial:
            raise RuleBroken(
                f"The serials {first} to {last} do not lie within batch {batch.id}, which has {batch.first_serial} "
                f"to {batch.last_serial}."
            )
        return range(first, last + 1)

    def content_name(self) -> str:
        """Return the file's name without `.age` where it is encrypted."""
        return self.path.name if self.recipient is None else self.path.name.removesuffix(".age")


class LabelFileWriter:
    """Writes label files under one codebook.

    `checkpoint_lines` is how many lines are made durable at a time: what a broken-off export may repeat. Memory
    does not grow with the order. Raises KeyMissing, RuleBroken (serials, recipient, another export of the same file)
    or FileUnwritable; the target is then as it was before.
    """

    __slots__ = ("_checkpoint_lines", "_codebook")

    def __init__(self, codebook: Codebook, *, checkpoint_lines: int = CHECKPOINT_LINES) -> None:
        self._codebook = codebook
        self._checkpoint_lines = checkpoint_lines

    def write(self, order: LabelFileOrder, *, progress: Progress | None = None) -> LabelFile:
        """Write, or finish, the file. `progress` gets (lines so far, lines in all). Blocks: not for the event loop."""
        serials = order.serials()
        recipient = None if order.recipient is None else AgeRecipient(order.recipient)
        part_path = order.path.with_name(order.path.name + ".part")
        try:
            with _locked_part(part_path) as part:
                written = _Hashed(part)
                start = self._pour(order, recipient, serials, written, progress or _no_progress)
                written.make_durable()
                size_bytes = part.tell()
                part_path.replace(order.path)
                _write_sidecar(order.path, written.hexdigest())
                _sync_folder(order.path.parent)
        except OSError as error:
            raise FileUnwritable(
                f"The label file {order.path} cannot be written ({error.strerror or error}). Check the folder and "
                "the free space, then give the same command again; a plain file goes on where it stopped."
            ) from error
        return LabelFile(
            path=order.path,
            lines=len(serials),
            size_bytes=size_bytes,
            sha256=written.hexdigest(),
            resumed_at_line=start,
        )

    def _pour(
        self,
        order: LabelFileOrder,
        recipient: AgeRecipient | None,
        serials: range,
        written: _Hashed,
        progress: Progress,
    ) -> int:
        """Write the content and return the line it was resumed at."""
        lines = LabelLines(self._codebook, order.batch)
        name = order.content_name()
        plain = recipient is None and not name.endswith(".zip")
        start = self._kept_lines(written, lines, serials) if plain else 0
        written.keep(_offset(lines, start) if start else 0)
        checkpoint = written.make_durable if plain else _no_checkpoint
        content: Iterator[Block] = self._content(lines, serials, start, checkpoint, progress)
        if name.endswith(".zip"):
            stem = name.removesuffix(".zip")
            content = zipped(content, member=stem if stem.endswith(".csv") else f"{stem}.csv")
        if recipient is not None:
            recipient.encrypt(content, written)
        else:
            for block in content:
                written.write(block)
        return start

    def _content(
        self,
        lines: LabelLines,
        serials: range,
        start: int,
        checkpoint: Callable[[], None],
        progress: Progress,
    ) -> Iterator[Block]:
        """Yield the file from line `start` on, with a checkpoint before each further `checkpoint_lines`."""
        if start == 0:
            yield HEADER
        for begin in range(start, len(serials), self._checkpoint_lines):
            if begin > start:
                checkpoint()
            end = min(begin + self._checkpoint_lines, len(serials))
            for at in range(begin, end, lines.chunk):
                yield lines.make(serials[at], min(lines.chunk, end - at))
            progress(end, len(serials))

    def _kept_lines(self, written: _Hashed, lines: LabelLines, serials: range) -> int:
        """Return how many lines of a broken-off part can stay: whole checkpoints, of this very order.

        Bytes past a checkpoint are written only after it was made durable, so what lies before the last checkpoint
        that the file reaches beyond survived even a power loss.
        """
        whole = min((written.size() - len(HEADER)) // lines.width, len(serials))
        kept = max(whole - 1, 0) // self._checkpoint_lines * self._checkpoint_lines
        if kept == 0:
            return 0
        same = written.read_at(0, len(HEADER)) == HEADER and all(
            written.read_at(_offset(lines, at), lines.width) == bytes(lines.make(serials[at], 1))
            for at in (0, kept - 1)
        )
        return kept if same else 0


class _Hashed:
    """The part file together with the SHA-256 of all that it holds."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()

    def write(self, block: Block, /) -> int:
        self._digest.update(block)
        self._file.write(block)
        return len(block)

    def flush(self) -> None:
        self._file.flush()

    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def read_at(self, offset: int, count: int) -> bytes:
        return os.pread(self._file.fileno(), count, offset)

    def keep(self, size: int) -> None:
        """Cut the file to its first `size` bytes, hash these and go on behind them."""
        self._file.truncate(size)
        self._file.seek(0)
        while block := self._file.read(min(_REHASH_BYTES, size - self._file.tell())):
            self._digest.update(block)

    def make_durable(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _offset(lines: LabelLines, line: int) -> int:
    return len(HEADER) + line * lines.width


@contextmanager
def _locked_part(path: Path) -> Iterator[BinaryIO]:
    """Open the part file, 0600, for this process alone; RuleBroken while another export writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # whoever held the lock before may have moved this very file into its place
            ours = path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino
        except BlockingIOError:
            ours = False
        if not ours:
            raise RuleBroken(
                f"Another export is writing {path} at this moment. Wait for it, or choose another file name."
            )
        yield file


def _write_sidecar(path: Path, hexdigest: str) -> None:
    """Write `<file>.sha256` as sha256sum prints and checks it."""
    sidecar = path.with_name(path.name + ".sha256")
    part = sidecar.with_name(sidecar.name + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(f"{hexdigest}  {path.name}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    part.replace(sidecar)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_progress(_done: int, _total: int) -> None:
    pass


def _no_checkpoint() -> None:
    pass
