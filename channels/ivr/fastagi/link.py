"""One connection of the switch: lines in, commands out, one at a time.

Lines are split as octets arrive, so a hang-up is known at once, also while no command runs, without a second task.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Transport
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from channels.ivr.fastagi.commands import LONGEST_LINE
from channels.ivr.fastagi.replies import (
    GONE,
    HANGUP,
    USAGE_BEGINS,
    USAGE_ENDS,
    AgiReply,
    NotAReply,
    read_reply,
)

_LONGEST_UNREAD: Final = 16 * 1024  # octets of one line; the longest recorded reply has 8 kB
_MOST_WAITING: Final = 256  # lines nobody has read yet
_MOST_USAGE_LINES: Final = 200


class CallerGone(Exception):
    """The caller has hung up; the switch refuses what needs a channel."""


class LinkBroken(Exception):
    """The connection ended, or the other side does not behave as a switch. ``why`` is a constant word."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Link(asyncio.Protocol):
    """Lines of one connection. ``on_open`` is called with the link once it is connected."""

    def __init__(self, on_open: Callable[[Link], None]) -> None:
        self._on_open = on_open
        self._transport: Transport | None = None
        self._partial = b""
        self._lines: deque[str] = deque()
        self._waiter: Future[None] | None = None
        self._ended = ""  # why nothing comes any more
        self._in_environment = True
        self._hung_up = False

    @property
    def peer(self) -> str:
        """The address of the other side, "" where it is gone already."""
        peername = None if self._transport is None else self._transport.get_extra_info("peername")
        return str(peername[0]) if peername else ""

    @property
    def is_hung_up(self) -> bool:
        """Whether the switch has said that the caller is gone, or has gone itself."""
        return self._hung_up or bool(self._ended)

    # -- what the event loop calls -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(Transport, transport)
        self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Take octets, in whatever pieces they come."""
        if self._ended:
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._partial) > _LONGEST_UNREAD:
            self._give_up("line_too_long")
        self._wake()

    def eof_received(self) -> None:
        """The other side sends nothing more, so the connection is of no use."""
        self._ended = self._ended or "closed"
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self._ended = self._ended or "closed"
        self._wake()

    # -- what a call does --------------------------------------------------------------------------------------

    async def read_environment(self, *, within_s: float) -> list[str]:
        """Return the lines before the first empty one, or up to one that is foreign. Raises ``LinkBroken``."""
        lines: list[str] = []
        try:
            async with asyncio.timeout(within_s):
                while line := await self._next_line():
                    lines.append(line)
                    if not line.startswith("agi_"):
                        break
        except TimeoutError:
            raise self._broken("too_slow") from None
        return lines

    async def ask(self, command: str, *, within_s: float) -> AgiReply:
        """Send one command and return its reply; ``HANGUP`` lines may stand anywhere and are no replies.

        Raises ``CallerGone`` for a 511 and ``LinkBroken`` for silence, for lines nobody asked for, and for an end.
        """
        if self._lines:
            raise self._broken("out_of_step")
        self.write(command)
        try:
            async with asyncio.timeout(within_s):
                line = await self._next_line()
                reply = read_reply(line)
                if line.startswith(USAGE_BEGINS):
                    await self._skip_usage()
        except TimeoutError:
            raise self._broken("too_slow") from None
        except NotAReply:
            raise self._broken("out_of_step") from None
        if reply.code == GONE:
            raise CallerGone
        return reply

    def write(self, command: str) -> None:
        """Send one line and wait for nothing."""
        line = command.encode()
        if b"\n" in line or len(line) > LONGEST_LINE:
            raise ValueError("This is not one line.")
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line + b"\n")

    async def hear_anything(self, *, within_s: float) -> None:
        """Wait for a line or the end, at most ``within_s``. Raises nothing."""
        self._lines.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._next_line()
        except (TimeoutError, LinkBroken):
            return

    def close(self) -> None:
        """End the connection; what was written still goes out."""
        self._ended = self._ended or "closed"
        if self._transport is not None:
            self._transport.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def _take(self, line: bytes) -> None:
        if self._ended:
            return
        text = line.decode("utf-8", "replace")
        if self._in_environment:
            self._in_environment = bool(text)
        elif text == HANGUP:
            self._hung_up = True
            return
        if len(self._lines) >= _MOST_WAITING:
            self._give_up("flooded")
            return
        self._lines.append(text)

    async def _next_line(self) -> str:
        while not self._lines:
            if self._ended:
                raise LinkBroken(self._ended)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._lines.popleft()

    async def _skip_usage(self) -> None:
        for _ in range(_MOST_USAGE_LINES):
            if (await self._next_line()).startswith(USAGE_ENDS):
                return
        raise self._broken("flooded")

    def _broken(self, why: str) -> LinkBroken:
        self._give_up(why)
        return LinkBroken(self._ended)

    def _give_up(self, why: str) -> None:
        """Believe nothing any more. Whoever waits is told; the call closes the connection."""
        self._ended = self._ended or why
        self._lines.clear()
        self._partial = b""

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None
