"""What both ends of a call share: one SIP stack a process on the loopback, orders on stdin, steps on stdout."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from baresip import Account, AudioNotActive, AudioRestarted, BaresipError, Config, Event, Runtime
from baresip.call import Call
from baresip.events import StackEvent
from baresip.ua import UserAgent

from tests.acceptance.ivr.sound import RATE, Samples, pad_to_frames

LONGEST_LIFE_S: Final = 150.0  # nobody's orphan lives longer
_POLL_S: Final = 0.02
_AHEAD: Final = 2 * RATE  # bytes, a second: exactly at real time a busy machine leaves gaps
_ATTEMPTS: Final = 10
_SIP_PORTS: Final = range(10_000, 16_000)  # below those that systems give to outgoing connections
# No jitter buffer and much room behind it: on a busy machine a fixed one drops whole packets that come late, and a
# clip with 20 ms missing is no longer the clip. What is heard is late by the lower figure (milliseconds).
_STACK: Final = """sip_transports udp
sip_listen 127.0.0.1:{port}
rtp_ports 16384-32766
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_jitter_buffer_type off
audio_buffer 200-2000
"""


@asynccontextmanager
async def sip_line(user: str) -> AsyncIterator[tuple[UserAgent, int]]:
    """Run a SIP stack for ``user`` on the loopback; mu-law only, keys as RFC 4733 events. Yields it and its port."""
    runtime, port = await _start()
    try:
        account = Account(user=user, domain="127.0.0.1", password="", reg_interval=0, audio_codecs=("pcmu",))
        yield await UserAgent.create(runtime, account), port
    finally:
        await runtime.close()


async def _start() -> tuple[Runtime, int]:
    """Start on a UDP port that is free. Nobody can be asked for one: the stack wants its number beforehand."""
    refusals: list[BaresipError] = []
    for _ in range(_ATTEMPTS):
        port = random.choice(_SIP_PORTS)
        runtime = Runtime()
        try:
            await runtime.start(Config(net_interface="127.0.0.1", extra_config_text=_STACK.format(port=port)))
        except BaresipError as refusal:
            refusals.append(refusal)
        else:
            return runtime, port
    raise refusals[-1]


async def orders() -> AsyncIterator[Mapping[str, Any]]:
    """Yield the orders of the parent, one JSON object a line, until it closes the pipe."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        yield json.loads(line)


def report(step: str, /, **facts: object) -> None:
    """Tell the parent of a step."""
    sys.stdout.write(json.dumps({"step": step, **facts}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class Voice:
    """The sound of one established call, in both directions. Times are real: a second of sound takes a second.

    The stack tells nobody that sound came or went, so it is asked every 20 ms until the call is ``over``.
    """

    def __init__(self, call: Call) -> None:
        self._audio = call.audio
        self.heard: list[bytes] | None = None  # a list collects what the far end says; None lets it pass
        self.over = asyncio.Event()
        call.on(self._on_event)

    async def listen(self) -> None:
        """Take what arrives for as long as the call lives; unread sound would be dropped by the stack."""
        while not await arrives(self.over, _POLL_S):
            try:
                sound = self._audio.read(65536)
            except (AudioNotActive, AudioRestarted):
                sound = b""
            if sound and self.heard is not None:
                self.heard.append(sound)

    async def play(self, samples: Samples, stop: asyncio.Event | None = None) -> int:
        """Say samples to the far end until they have left or ``stop`` is set; return the milliseconds said."""
        stop = stop or asyncio.Event()
        sound = pad_to_frames(samples).tobytes()
        sent = 0
        while not stop.is_set():
            try:
                room = _AHEAD - self._audio.info().tx_buffered
                if sent < len(sound) and room > 0:
                    sent += self._audio.write(sound[sent : sent + room])
                elif sent == len(sound) and self._audio.info().tx_buffered == 0:
                    return _ms(sent)
            except (AudioNotActive, AudioRestarted):
                pass  # between two descriptions of the session; what was lost is missing in the recording
            await arrives(stop, _POLL_S)
        left = 0
        with suppress(AudioNotActive, AudioRestarted):
            left = self._audio.info().tx_buffered
            self._audio.flush_tx()
        return _ms(sent - left)

    def _on_event(self, event: StackEvent) -> None:
        if event.event is Event.CALL_CLOSED:
            self.over.set()


async def arrives(event: asyncio.Event, within_s: float) -> bool:
    """Wait for the event, at most that long; return whether it came. An event that is set costs no time."""
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False


def _ms(size: int) -> int:
    return size * 1000 // (2 * RATE)
