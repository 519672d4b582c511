"""The verbs of a switch in terms of a call: a key or none, a prompt that is missing, a caller who is gone.

Two replies of a switch are ambiguous: -1 is a missing prompt or a hang-up, and GET OPTION tells a hang-up behind the
prompt as no key. CHANNEL STATUS settles both, because it alone is refused once the caller is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.core.model.value import value
from channels.ivr.fastagi import commands
from channels.ivr.fastagi.link import CallerGone, Link, LinkBroken
from channels.ivr.fastagi.pace import Pace
from channels.ivr.fastagi.replies import DONE, AgiReply

_RATE: Final = 8_000  # samples a second of the recordings we ask for
_LEAST_SAID: Final = 4_000  # samples; less is the click of a key
_SILENCE_S: Final = 4
_KEPT_OF_SILENCE: Final = _RATE + 4_000  # of the silence that ends a recording, one second stays in the file
_ENDED_BY_SILENCE: Final = 6_994  # a positive result that is no key (recorded)
_TIMEOUT: Final = "timeout"


@value
class Collected:
    """Keys of one GET DATA. ``paused``: none came for a while; otherwise ``#`` or the maximum ended it."""

    digits: str
    paused: bool


@value
class ReportTaken:
    """What became of a recording. ``said`` is False where nothing is on it; ``gone``: the caller has hung up."""

    said: bool
    gone: bool = False


class Switch:
    """The verbs over one link. Each raises ``CallerGone`` once the caller is gone, and ``LinkBroken``."""

    def __init__(self, link: Link, *, pace: Pace, sounds: str) -> None:
        self._link = link
        self._pace = pace
        self._sounds = sounds.rstrip("/")
        self.missing = 0  # prompts that the switch did not find

    async def check_in_step(self, secret: str) -> None:
        """Prove that replies are the switch's own: only it can repeat ``secret``, which it has never seen.

        A caller id with line breaks could carry a whole environment with replies behind it. Raises ``LinkBroken``.
        """
        reply = await self._link.ask(commands.echo(secret), within_s=self._pace.reply_s)
        if reply.words != secret:
            raise LinkBroken("forged")

    async def answer(self) -> None:
        """Answer the call; before that the caller hears it ring."""
        await self._short(commands.ANSWER)

    async def play(self, sound: str, keys: str, *, length_s: float) -> str:
        """Play one prompt and return the key of ``keys`` that stopped it, or ""."""
        reply = await self._ask(commands.stream_file(self._path(sound), keys), length_s)
        return await self._key(reply, is_prompt=True)

    async def play_and_wait(self, sound: str, *, wait_s: float, length_s: float) -> str:
        """Play one prompt and wait for one key; return it, or "". No key is lost between the two."""
        command = commands.get_option(self._path(sound), _ms(wait_s))
        missing = self.missing
        key = await self._key(await self._ask(command, length_s + wait_s), is_prompt=True)
        if self.missing > missing:
            return await self.wait(wait_s)
        if not key:
            await self._check_alive()
        return key

    async def wait(self, seconds: float) -> str:
        """Wait for one key; return it, or "" after ``seconds``."""
        return await self._key(await self._ask(commands.wait_for_digit(_ms(seconds)), seconds))

    async def collect(self, between_s: float, most: int) -> Collected:
        """Collect keys until ``#``, until there are ``most``, or until none comes for ``between_s``."""
        reply = await self._ask(commands.get_data(_ms(between_s), most), between_s * (most + 1))
        if reply.code != DONE or reply.result == "-1":
            await self._check_alive()
            raise LinkBroken("keys_refused")
        return Collected(digits=reply.result, paused=reply.words == _TIMEOUT)

    async def record(self, path: str, max_s: int) -> ReportTaken:
        """Record into ``path`` after the switch's own tone, or without one where it has none."""
        for beep in (True, False):
            command = commands.record_file(path, _ms(max_s), _SILENCE_S, beep=beep)
            reply = await self._ask(command, max_s)
            samples = reply.end or 0
            if reply.code == DONE and reply.words == "hangup":
                return ReportTaken(said=samples >= _RATE, gone=True)
            if reply.code == DONE and reply.number >= 0:
                silent = reply.number == _ENDED_BY_SILENCE
                return ReportTaken(said=samples >= (_KEPT_OF_SILENCE if silent else _LEAST_SAID))
            await self._check_alive()
            if reply.words == "writefile":
                break
        return ReportTaken(said=False)

    async def find_variable(self, name: str) -> str:
        """Return a variable of the channel, "" where it is not set."""
        return (await self._short(commands.get_variable(name))).words

    async def tell(self, variables: Mapping[str, str]) -> None:
        """Set variables for the dialplan; this works behind a hang-up too."""
        for name, text in variables.items():
            await self._link.ask(commands.set_variable(name, text), within_s=self._pace.reply_s)

    async def hang_up(self) -> None:
        """End the call; the caller stays connected until the connection is closed as well."""
        await self._short(commands.HANGUP)

    # -- inside --------------------------------------------------------------------------------------------------

    def _path(self, sound: str) -> str:
        return f"{self._sounds}/{sound}" if self._sounds else sound

    async def _short(self, command: str) -> AgiReply:
        reply = await self._link.ask(command, within_s=self._pace.reply_s)
        if reply.code != DONE:
            raise LinkBroken("command_refused")
        return reply

    async def _ask(self, command: str, lasting_s: float) -> AgiReply:
        if self._link.is_hung_up:
            raise CallerGone
        return await self._link.ask(command, within_s=lasting_s + self._pace.grace_s)

    async def _key(self, reply: AgiReply, *, is_prompt: bool = False) -> str:
        if reply.code == DONE and reply.number >= 0:
            return chr(reply.number) if 0 < reply.number < 128 else ""
        await self._check_alive()
        self.missing += is_prompt
        return ""

    async def _check_alive(self) -> None:
        """Raise ``CallerGone`` unless the channel is still there."""
        if self._link.is_hung_up or (await self._short(commands.CHANNEL_STATUS)).number < 0:
            raise CallerGone


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
