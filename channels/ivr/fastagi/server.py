"""The listener that a switch connects to: who may, how many at once, and an orderly end."""

from __future__ import annotations

import asyncio
from asyncio import Event, Task
from collections.abc import Coroutine
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from app.core.errors import SettingsInvalid
from channels.abilities import Carry
from channels.base import Clock
from channels.ivr.fastagi.call import PATH, Call, Desk
from channels.ivr.fastagi.link import Link
from channels.ivr.fastagi.pace import Pace
from channels.ivr.settings import FastAgiOptions

_BACKLOG: Final = 512
_MOST_TURNED_AWAY: Final = 50  # at once; beyond them a connection is closed without a word


class FastAgiListener:
    """A ``Listener`` for Asterisk. ``token`` proves to the dialect that a request comes from here.

    ``trouble`` is "" while the port is open and every prompt of the last call was found. Raises ``SettingsInvalid`` for
    an address that is none.
    """

    name: str = PATH

    def __init__(
        self, options: FastAgiOptions, *, clock: Clock, token: str, pace: Pace | None = None
    ) -> None:
        self.trouble = "not_started"
        self._options = options
        self._host, self._port = read_address(options.listen)
        self._clock = clock
        self._token = token
        self._pace = pace or Pace()
        self._calls: set[Task[None]] = set()
        self._others: set[Task[None]] = set()  # turned away, or refused and being counted
        self._opened = Event()
        self._is_leaving = False
        self._desk: Desk | None = None

    @property
    def calls_in_progress(self) -> int:
        """How many calls are being attended."""
        return len(self._calls)

    async def wait_open(self) -> tuple[str, int]:
        """Return the host and port once they accept connections; the port is the real one where 0 was asked for."""
        await self._opened.wait()
        return self._host, self._port

    async def listen(self, carry: Carry) -> None:
        """Accept calls until cancelled; then let those under way end. Opens the port again with growing pauses."""
        self._is_leaving = False
        self._desk = Desk(
            options=self._options,
            clock=self._clock,
            token=self._token,
            pace=self._pace,
            carry=carry,
            is_leaving=lambda: self._is_leaving,
        )
        server = await self._open()
        try:
            await asyncio.get_running_loop().create_future()  # nothing ends it but the end of the service
        finally:
            self._is_leaving = True
            server.close()
            self._opened.clear()
            await self._finish()
            self.trouble = "stopped"

    async def _open(self) -> asyncio.Server:
        pause_s = self._pace.first_pause_s
        while True:
            try:
                server = await asyncio.get_running_loop().create_server(
                    lambda: Link(self._take), self._host, self._port, backlog=_BACKLOG
                )
            except OSError:
                self.trouble = "cannot_listen"
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, self._pace.longest_pause_s)
                continue
            self._port = int(server.sockets[0].getsockname()[1])
            self.trouble = ""
            self._opened.set()
            return server

    def _take(self, link: Link) -> None:
        """Begin with a new connection; called by the event loop."""
        desk, remote = self._desk, link.peer
        is_allowed = self._is_allowed(remote)
        if desk is None or self._is_leaving:
            link.close()
        elif is_allowed and len(self._calls) < self._options.max_calls:
            self._begin(self._attend(Call(link, desk)), self._calls)
        elif len(self._others) >= _MOST_TURNED_AWAY:
            link.close()
        elif is_allowed:
            self._begin(Call(link, desk).turn_away(), self._others)
        else:
            link.close()
            self._begin(desk.refuse("address", remote=remote), self._others)

    def _begin(self, work: Coroutine[Any, Any, None], among: set[Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)

    async def _attend(self, call: Call) -> None:
        await call.attend()
        if call.was_attended and not self._is_leaving:
            self.trouble = "prompts_missing" if call.missing else ""

    def _is_allowed(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._options.allow_from)

    async def _finish(self) -> None:
        """Let calls come to the end of their turn; cut off those that take longer."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=self._pace.farewell_s)
        late = self._calls | self._others
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=3 * self._pace.parting_s)


def read_address(listen: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` (an IPv6 host in brackets). Raises ``SettingsInvalid``."""
    host, colon, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise SettingsInvalid("ivr.fastagi.listen: write host:port, for example 127.0.0.1:4573.")
    return bare, int(port)
