"""What a label file may be wrapped in on its way to the disk: a ZIP with fixed times, and age encryption.

Both stream: neither holds more than a few blocks, and clear text never reaches the disk when a recipient is given.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from app.core.errors import RuleBroken

Block = bytes | memoryview
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the oldest the format knows; a real time would change the bytes
_ZIP_LEVEL: Final = 1


class Sink(Protocol):
    """Where blocks go."""

    def write(self, block: Block, /) -> int:
        """Take the whole block and return its length."""
        ...


class _Collected(io.RawIOBase):
    """An unseekable file for zipfile, emptied by its reader."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, block: object, /) -> int:
        data = bytes(block)  # type: ignore[call-overload]  # the base class takes any buffer
        self._blocks.append(data)
        return len(data)

    def take(self) -> bytes:
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)


def zipped(content: Iterable[Block], *, member: str) -> Iterator[bytes]:
    """Yield a ZIP with one deflated member; the same content gives the same bytes under the same zlib."""
    collected = _Collected()
    with zipfile.ZipFile(collected, "w") as archive:
        info = zipfile.ZipInfo(member, date_time=_ZIP_TIME)
        info.compress_type = zipfile.ZIP_DEFLATED
        info._compresslevel = _ZIP_LEVEL  # type: ignore[attr-defined]  # noqa: SLF001 - open() has no argument for it before 3.13
        info.create_system = 3
        info.external_attr = 0o600 << 16
        with archive.open(info, "w", force_zip64=True) as file:
            for block in content:
                file.write(block)
                yield collected.take()
    yield collected.take()


class _Pipe(io.RawIOBase):
    """Reads from an iterable of blocks, writes to a sink, and keeps the first failure of either.

    The encryption runs in a compiled library that would turn any exception into one of its own.
    """

    def __init__(self, content: Iterable[Block], sink: Sink) -> None:
        super().__init__()
        self._content = iter(content)
        self._rest = memoryview(b"")
        self._sink = sink
        self.failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._content))
        except StopIteration:
            return b""
        except Exception as error:
            self.failure = self.failure or error
            raise
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        return bytes(taken)

    def write(self, block: object, /) -> int:
        try:
            return self._sink.write(bytes(block))  # type: ignore[call-overload]  # any buffer
        except Exception as error:
            self.failure = self.failure or error
            raise


class AgeRecipient:
    """An age X25519 public key (age1...). Raises RuleBroken for anything else."""

    __slots__ = ("_recipient",)

    def __init__(self, text: str) -> None:
        import pyrage

        try:
            self._recipient = pyrage.x25519.Recipient.from_str(text.strip())
        except pyrage.RecipientError:
            raise RuleBroken(
                "The recipient is not an age public key. It begins with `age1`; `age-keygen` prints it as `Public key`."
            ) from None

    def encrypt(self, content: Iterable[Block], sink: Sink) -> None:
        """Write the content to the sink as one binary age file (age-encryption.org/v1)."""
        import pyrage

        pipe = _Pipe(content, sink)
        try:
            pyrage.encrypt_io(pipe, pipe, [self._recipient])
        except pyrage.EncryptError as error:
            raise pipe.failure or OSError(str(error)) from error
