"""A worker's seat: what its supervisor told it, and the one channel between the two.

The supervisor says ``lead``; the worker says ``ready`` and ``resigned``. The channel's end means the other is gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEAD: Final = b"lead"
READY: Final = b"ready"
RESIGNED: Final = b"resigned"
_RENEW_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """``number`` counts from 1; ``listening`` and ``control`` are file descriptors that the process inherited.

    ``folder`` is where workers leave their numbers. A ``careful`` worker listens only once it could record a
    verification, because others serve meanwhile.
    """

    number: int
    listening: tuple[int, ...]
    control: int
    folder: Path
    careful: bool

    @property
    def word(self) -> str:
        """The seat as one word of a command."""
        listening = ",".join(map(str, self.listening))
        return f"{self.number}:{listening}:{self.control}:{int(self.careful)}:{self.folder}"

    @staticmethod
    def parse(word: str) -> Seat:
        """Read :attr:`word`. Raises ``ValueError``."""
        number, listening, control, careful, folder = word.split(":", 4)
        return Seat(
            number=int(number),
            listening=tuple(map(int, listening.split(","))),
            control=int(control),
            folder=Path(folder),
            careful=careful == "1",
        )

    @property
    def own_name(self) -> str:
        """What this process is called among all that ever sat here."""
        return name_of(self.number, os.getpid())


def name_of(number: int, pid: int) -> str:
    """Return the name of the process ``pid`` on seat ``number``."""
    return f"{number}-{pid}"


class Post:
    """The worker's end of the channel, and the ``Leadership`` of a machine: its supervisor names one worker.

    Made by :meth:`open`; ``orphaned`` is called once the supervisor is gone.
    """

    def __init__(self, seat: Seat, writer: asyncio.StreamWriter) -> None:
        self.seat = seat
        self._writer = writer
        self._named = False
        self._roles: set[str] = set()
        self._listener: asyncio.Task[None] | None = None

    @staticmethod
    async def open(seat: Seat, orphaned: Callable[[], None]) -> Post:
        """Take the seat."""
        control = socket.socket(fileno=seat.control)
        control.set_inheritable(False)
        reader, writer = await asyncio.open_connection(sock=control)
        post = Post(seat, writer)
        post._listener = asyncio.create_task(post._hear(reader, orphaned))
        return post

    def sockets(self) -> Sequence[socket.socket]:
        """Return the sockets that listen for all workers; call it once."""
        found = [socket.socket(fileno=number) for number in self.seat.listening]
        for one in found:
            one.set_inheritable(False)
            one.setblocking(False)
        return found

    def say_ready(self) -> None:
        """Tell that this worker serves."""
        self._say(READY)

    @property
    def renew_s(self) -> float:
        """Seconds between two calls of ``hold``."""
        return _RENEW_S

    async def hold(self, role: str) -> bool:
        """Take the role where this worker was named."""
        self._roles.add(role)
        return self._named

    def leads(self, role: str) -> bool:
        """Tell whether this worker was named and has not given the role up."""
        return self._named and role in self._roles

    async def resign(self, role: str) -> None:
        """Give the role up; with the last of them somebody else can be named."""
        self._roles.discard(role)
        if self._named and not self._roles:
            self._named = False
            self._say(RESIGNED)

    async def close(self) -> None:
        """Leave the seat."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait((self._listener,))
        self._writer.close()

    async def _hear(self, reader: asyncio.StreamReader, orphaned: Callable[[], None]) -> None:
        try:
            while line := await reader.readline():
                if line.strip() == LEAD:
                    self._named = True
        except OSError:
            pass  # a supervisor that was killed
        self._named = False
        orphaned()

    def _say(self, word: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(word + b"\n")
