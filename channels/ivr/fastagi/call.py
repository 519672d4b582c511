"""One call, from the environment to the goodbye: each turn is one request through the pipeline, then words and keys.

Nothing is kept here between turns but the sealed state that the last one gave.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.core.errors import Undecodable
from app.core.model.call import CallEnd
from channels.abilities import Carry
from channels.base import Clock, InboundRequest, OutboundResponse
from channels.ivr.fastagi import commands
from channels.ivr.fastagi.environment import CallFacts, read_environment
from channels.ivr.fastagi.link import CallerGone, Link, LinkBroken
from channels.ivr.fastagi.pace import Pace
from channels.ivr.fastagi.script import (
    EndCall,
    GatherKeys,
    PutThrough,
    RecordReport,
    Script,
    Wait,
    read_script,
)
from channels.ivr.fastagi.switch import Switch
from channels.ivr.fastagi.turns import speak, speak_and_gather
from channels.ivr.settings import FastAgiOptions

METHOD: Final = "CALL"
PATH: Final = "fastagi"

# what the dialplan finds in the channel after AGI()
STATUS: Final = "YANZHEN_STATUS"
TRANSFER: Final = "YANZHEN_TRANSFER"
STATE: Final = "YANZHEN_STATE"

_MOST_TURNS: Final = 500

# how a call can end here; each is an event of its own
ENDS: Final = frozenset(
    {CallEnd.COMPLETED, CallEnd.HUNG_UP, CallEnd.TRANSFERRED, CallEnd.STOPPED, CallEnd.FAILED}
)


class Status(StrEnum):
    """How a session ended, for the dialplan and for the counts of refused calls."""

    DONE = "DONE"
    TRANSFER = "TRANSFER"
    HUNG_UP = "HUNG_UP"
    BUSY = "BUSY"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every call of one listener is given. ``is_leaving`` is true once the service stops."""

    options: FastAgiOptions
    clock: Clock
    token: str
    pace: Pace
    carry: Carry
    is_leaving: Callable[[], bool]

    async def bring(
        self, headers: Mapping[str, str], body: str = "", *, remote: str = "", within_s: float | None = None
    ) -> OutboundResponse | None:
        """Carry one request; None where there was no answer at all."""
        request = InboundRequest(
            method=METHOD,
            route=PATH,
            path=PATH,
            headers={"link": self.token, **headers},
            body=body.encode(),
            remote=remote,
            received_at=self.clock.now(),
        )
        try:
            async with asyncio.timeout(within_s or self.pace.turn_s):
                return await self.carry(request)
        except Exception:  # noqa: BLE001 - the pipeline has told the log; the caller must still be let go politely
            return None

    async def refuse(self, why: str, *, remote: str) -> None:
        """Let a connection that never became a call be counted; ``why`` is a constant word."""
        await self.bring({"event": "refused", "why": why}, remote=remote)


class Call:
    """One call over one link. ``missing`` counts prompts that the switch did not find."""

    def __init__(self, link: Link, desk: Desk) -> None:
        self._link = link
        self._desk = desk
        self._switch = Switch(link, pace=desk.pace, sounds=desk.options.sounds)
        self._remote = link.peer
        self._facts: CallFacts | None = None
        self._call_id = ""
        self._state = ""
        self._is_open = False  # it has begun, and nobody was told of its end
        self._end = CallEnd.HUNG_UP  # as it would be told now
        self._began_s: float | None = None  # None also for a caller who is back

    @property
    def was_attended(self) -> bool:
        """Whether it became a call, and not just a connection."""
        return bool(self._call_id)

    @property
    def missing(self) -> int:
        """How many prompts were not found."""
        return self._switch.missing

    async def attend(self) -> None:
        """Carry the call to its end. Raises nothing but the cancellation that ends it at once."""
        try:
            await self._part(await self._converse())
            self._link.close()  # caller and dialplan wait for that, and not for our record
            await self._tell_end()
        except CallerGone:
            await self._tell_end()
            await self._leave(Status.HUNG_UP)
        except LinkBroken as broken:
            if broken.why != "closed":
                self._end_as(CallEnd.FAILED)
            await self._tell_end()
            if broken.why != "closed":  # a hang-up ends as "closed" too, where the switch leaves at once
                await self._desk.refuse(broken.why, remote=self._remote)
                self._link.write(commands.HANGUP)
        except Undecodable:
            await self._desk.refuse("environment", remote=self._remote)
            self._link.write(commands.HANGUP)
        except asyncio.CancelledError:
            await self._cut_off()
            raise
        finally:
            self._link.close()

    async def turn_away(self) -> None:
        """Tell the dialplan that there is no room, and leave the caller to it."""
        try:
            await self._link.read_environment(within_s=self._desk.pace.environment_s)
            await self._switch.tell({STATUS: Status.BUSY})
            await self._desk.refuse("busy", remote=self._remote)
        except (CallerGone, LinkBroken):
            await self._desk.refuse("busy", remote=self._remote)
        finally:
            self._link.close()

    # -- the conversation ------------------------------------------------------------------------------------------

    async def _converse(self) -> Status:
        desk = self._desk
        lines = await self._link.read_environment(within_s=desk.pace.environment_s)
        self._facts = facts = read_environment(lines)
        await self._switch.check_in_step(secrets.token_hex(16))
        await self._switch.answer()
        event = await self._begin(facts)
        headers, body = {"event": event}, ""
        end_by_s = desk.clock.monotonic_s() + desk.pace.call_s
        for _ in range(_MOST_TURNS):
            script = await self._ask(headers, body)
            if script is None:
                return Status.FAILED
            self._state = script.state
            if self._link.is_hung_up:
                raise CallerGone
            if isinstance(script.wait, EndCall | PutThrough):
                return await self._say_last(script, script.wait)
            if desk.is_leaving():
                await self._speak(script)
                self._end = CallEnd.STOPPED
                return Status.STOPPED
            if desk.clock.monotonic_s() > end_by_s:
                break
            headers, body = await self._take(script, script.wait)
        self._end = CallEnd.FAILED
        return Status.FAILED

    async def _begin(self, facts: CallFacts) -> str:
        """Return the first event, with the call's id and state set.

        A dialplan may call us twice in a call, and both sessions number their codes from one; so each has an id of its
        own, and only a caller who could not be put through comes back under the old one.
        """
        if facts.is_back:
            mark, _, state = (await self._switch.find_variable(STATE)).partition(".")
            if mark and state:
                self._call_id, self._state = f"{facts.call_id}-{mark}", state
                return "transfer_failed"
        self._call_id = f"{facts.call_id}-{secrets.token_hex(4)}"
        self._began_s = self._desk.clock.monotonic_s()
        return "started"

    async def _ask(self, headers: Mapping[str, str], body: str) -> Script | None:
        """Return what to do next, None where there is no answer that can be followed."""
        self._is_open = True
        response = await self._bring(headers, body)
        if response is not None and response.status == 200:
            with suppress(Undecodable):
                return read_script(response.body)
        self._end = CallEnd.FAILED
        return None

    async def _bring(
        self, headers: Mapping[str, str], body: str = "", *, within_s: float | None = None
    ) -> OutboundResponse | None:
        facts = self._facts
        if facts is None:
            return None
        told = {
            "call": self._call_id,
            "caller": facts.caller,
            "withheld": "" if facts.caller else "1",
            "dialled": facts.dialled,
            "language": facts.language,
            "state": self._state,
            **headers,
        }
        return await self._desk.bring(told, body, remote=self._remote, within_s=within_s)

    async def _take(self, script: Script, wait: GatherKeys | RecordReport) -> tuple[dict[str, str], str]:
        """Speak, wait, and return the event and body of the next turn."""
        pace = self._desk.pace
        if isinstance(wait, RecordReport):
            await self._speak(script)
            return await self._record(wait)
        keyed = await speak_and_gather(self._switch, script, wait, pace.unknown_prompt_s)
        if not keyed.digits and keyed.ended == "pause":
            return {"event": "silence"}, ""
        return {"event": "keys", "ended": keyed.ended}, keyed.digits

    async def _record(self, wait: RecordReport) -> tuple[dict[str, str], str]:
        folder = self._desk.options.recordings.rstrip("/")
        if not folder:
            return {"event": "silence"}, ""
        taken = await self._switch.record(f"{folder}/{wait.name}", wait.max_s)
        if taken.gone:
            if taken.said:  # people say what they have to say and hang up
                await self._bring({"event": "recorded"}, wait.name)
            raise CallerGone
        return ({"event": "recorded"}, wait.name) if taken.said else ({"event": "silence"}, "")

    async def _speak(self, script: Script) -> None:
        await speak(self._switch, script, self._desk.pace.unknown_prompt_s)

    # -- endings -------------------------------------------------------------------------------------------------

    async def _say_last(self, script: Script, wait: Wait) -> Status:
        if not isinstance(wait, PutThrough):
            self._end = CallEnd.COMPLETED  # also where the caller does not wait for the goodbye
            await self._speak(script)
            return Status.DONE
        await self._speak(script)
        mark = self._call_id.rpartition("-")[2]
        await self._switch.tell({TRANSFER: wait.number, STATE: f"{mark}.{script.state}"})
        self._end = CallEnd.TRANSFERRED
        return Status.TRANSFER

    async def _part(self, status: Status) -> None:
        """Tell the dialplan how it went. HANGUP sends it to its end; without, it goes on with the next step."""
        await self._switch.tell({STATUS: status})
        if status in {Status.DONE, Status.FAILED}:
            await self._switch.hang_up()

    async def _leave(self, status: Status) -> None:
        """Tell the dialplan of a caller who is gone, if it still listens."""
        with suppress(CallerGone, LinkBroken):
            await self._switch.tell({STATUS: status})

    def _end_as(self, end: CallEnd) -> None:
        """Take this for the end, unless the call had come to one before."""
        if self._end is CallEnd.HUNG_UP:
            self._end = end

    async def _tell_end(self, *, within_s: float | None = None) -> None:
        """Tell once that the call is over, how, and after how long; what is answered does not matter."""
        if not self._is_open:
            return
        self._is_open = False
        lasted = "" if self._began_s is None else str(round(self._desk.clock.monotonic_s() - self._began_s))
        await self._bring({"event": self._end.value, "seconds": lasted}, within_s=within_s)

    async def _cut_off(self) -> None:
        """End a call at once: a new command cuts what the switch is doing, and the dialplan takes its next step."""
        pace = self._desk.pace
        if self._facts is not None:
            self._link.write(commands.set_variable(STATUS, Status.STOPPED))
            await self._link.hear_anything(within_s=pace.parting_s)
        self._end_as(CallEnd.STOPPED)
        await self._tell_end(within_s=pace.parting_s)
