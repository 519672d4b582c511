"""What the hotline's record holds before the tests: labels asked about nine days ago, and a call half done."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from tests.acceptance.cli.shell import Server
from tests.acceptance.ivr.callbacks import Conversation, telephone
from tests.acceptance.ivr.hotline import PUBLIC, Hotline, HotlineShell, run

AGO_DAYS: Final = 9
MANY: Final = 777  # queries of one label, a count that takes long to say
# Each language has a caller who was there before; the place of this one is the longest there is.
OLD_CALLERS: Final = {"zh-CN": "+8613804710000", "en": "+442079460001"}
STRANGERS: Final = {"zh-CN": "+8613910000000", "en": "+442079460002"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Codes by language and by what happened to them, and a call that was greeted before the service ended."""

    hotline: Hotline
    codes: dict[tuple[str, str], str]
    greeted: Conversation


def live_through(hotline: Hotline) -> Past:
    """Let people ask, without limits, end the service, and let it have been nine days ago."""
    codes = {
        (locale, kind): _code(hotline, kind)
        for locale in OLD_CALLERS
        for kind in ("own", "others", "both", "many", "family")
    }
    with HotlineShell(hotline.folder, limited=False).serving() as server:
        hotline.origins[PUBLIC] = server.url
        greeted = run(_ask_all(hotline, server, codes))
    hotline.age(AGO_DAYS)
    return Past(hotline=hotline, codes=codes, greeted=greeted)


def _code(hotline: Hotline, kind: str) -> str:
    return hotline.take({"family": "family", "own": "plain", "others": "plain"}.get(kind, "named"))


async def _ask_all(hotline: Hotline, server: Server, codes: dict[tuple[str, str], str]) -> Conversation:
    async with telephone(hotline) as phone:
        for (locale, kind), code in codes.items():
            own = kind in {"own", "both", "many"}
            callers = [OLD_CALLERS[locale if own else "zh-CN"]]
            if kind == "both":
                callers.append(STRANGERS[locale])
            for caller in callers:
                call = await phone.call(caller)
                await call.keys(code)
                await call.hang_up()
            if kind == "many":
                for _ in range(MANY - 2):
                    await asyncio.to_thread(server.verify, code)
        return await phone.call(OLD_CALLERS["zh-CN"])
