"""Taking connections from a socket that several processes listen on: one a turn of the event loop.

The event loop's own server takes all that wait, so that one process of an idle service would get every connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

_NOT_NOW: Final = (BlockingIOError, InterruptedError, ConnectionAbortedError)  # another process was quicker
_PAUSE_S: Final = 1.0
_BACKLOG: Final = 1024


class Acceptor:
    """Takes connections for ``protocols`` from the moment it is made, until :meth:`close`; for one event loop.

    ``listening`` is bound; it may be listened on by others already. Where the process has no descriptor free, those
    who wait are taken after ``pause_s``.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocols: Callable[[], asyncio.Protocol],
        *,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._protocols = protocols
        self._pause_s = pause_s
        self._arriving: set[asyncio.Task[Any]] = set()
        self._again: asyncio.TimerHandle | None = None
        listening.listen(_BACKLOG)  # who is the first to do so opens the address; further ones change nothing
        self._take_more()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listening.getsockname()[1])

    async def close(self) -> None:
        """Take no more, and close the socket here; who else has it goes on."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _take_more(self) -> None:
        self._again = None
        self._loop.add_reader(self._listening.fileno(), self._take_one)

    def _take_one(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except _NOT_NOW:
            return
        except OSError:
            self._loop.remove_reader(self._listening.fileno())
            self._again = self._loop.call_later(self._pause_s, self._take_more)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        arriving = self._loop.create_task(self._loop.connect_accepted_socket(self._protocols, connection))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arrived)

    def _arrived(self, arriving: asyncio.Task[Any]) -> None:
        self._arriving.discard(arriving)
        if not arriving.cancelled():
            arriving.exception()  # a client that was gone already
