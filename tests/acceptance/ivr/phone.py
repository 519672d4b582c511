"""The caller as a process: dials, keys digits by RFC 4733, talks, hangs up, and records what it hears.

Its first order says who calls whom and where the recording goes; every further one is obeyed in its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from baresip import BaresipError, CallFailed
from baresip.call import Call

from tests.acceptance.ivr.sip_line import LONGEST_LIFE_S, Voice, arrives, orders, report, sip_line
from tests.acceptance.ivr.sound import noise, write_clip


async def obey(call: Call, voice: Voice, orders: AsyncIterator[Mapping[str, Any]]) -> None:
    """Do what the parent says, one thing after another, each ``after_ms`` milliseconds after it is said."""
    async for order in orders:
        if await arrives(voice.over, order["after_ms"] / 1000):
            return
        match order["do"]:
            case "keys":
                report("keying", digits=order["digits"])
                await call.send_dtmf(order["digits"], order["gap_ms"])
            case "talk":
                await voice.play(noise(7, order["ms"]))
            case "hang_up":
                await call.hangup()
        report("obeyed", order=order["do"])
        if voice.over.is_set():  # a cancellation that comes with the completion of a command is lost in it
            return


async def main() -> None:
    """Make one call."""
    said = aiter(orders())
    config = await anext(said)
    async with asyncio.timeout(LONGEST_LIFE_S), sip_line(config["user"]) as (agent, _):
        report("ready")
        call = await agent.dial((await anext(said))["to"])
        voice = Voice(call)
        try:
            await call.wait_established()
        except CallFailed as failure:
            report("refused", status=failure.status)
            return
        report("connected")
        voice.heard = []
        listening = asyncio.create_task(voice.listen())
        obeying = asyncio.create_task(obey(call, voice, said))
        await listening  # until the call is over
        obeying.cancel()
        with suppress(asyncio.CancelledError, BaresipError):
            await obeying  # the far end may have hung up while a key was held down
        write_clip(Path(config["recording"]), np.frombuffer(b"".join(voice.heard), dtype=np.int16))
        report("recorded")


if __name__ == "__main__":
    asyncio.run(main())
