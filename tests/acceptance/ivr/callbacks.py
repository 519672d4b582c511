"""A telephone without a line: it follows the TwiML of the real service by callbacks and puts together what is heard.

Every question is put twice unless a test says otherwise, as after a lost answer, and both answers must be equal.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
import numpy as np

from tests.acceptance.ivr import twiml
from tests.acceptance.ivr.hotline import TOKEN, VOICE, Hotline
from tests.acceptance.ivr.sound import RATE, Samples, read_clip, write_clip
from tests.acceptance.ivr.telephony import CALLED
from tests.acceptance.ivr.webhooks import Answer, Webhooks

_DECLINED: Final = {"DialCallStatus": "busy", "DialBridged": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One thing that was played: the name of a clip, "" for a pause, and how long it takes."""

    sha: str
    sound: Samples


@dataclass(slots=True)
class Telephone:
    """Makes calls; clips are fetched once."""

    hotline: Hotline
    webhooks: Webhooks
    once: Webhooks
    clips: dict[str, Samples] = field(default_factory=dict)

    async def call(self, number: str = "+8613912345678", *, repeats: bool = True) -> Conversation:
        """Dial and return the call, greeted. ``number`` is written as the provider would."""
        conversation = Conversation(telephone=self, number=number, repeats=repeats)
        await conversation.follow(VOICE, {"CallStatus": "ringing"})
        return conversation

    async def fetch(self, url: str) -> Samples:
        if url not in self.clips:
            self.clips[url] = read_clip(*await self.webhooks.fetch_clip(url))
        return self.clips[url]


@dataclass(slots=True)
class Conversation:
    """One call. ``played`` is all that a caller hears who never interrupts; ``turns`` what each answer added."""

    telephone: Telephone
    number: str
    repeats: bool = True
    sid: str = field(default_factory=lambda: "CA" + secrets.token_hex(16))
    played: list[Heard] = field(default_factory=list)
    turns: list[list[Heard]] = field(default_factory=list)
    wait: twiml.Verb | None = None
    document: bytes = b""

    # ------------------------------------------------------------------------------------ what a caller does

    async def keys(self, digits: str, finish: str = "") -> None:
        """Key digits, then ``#`` where it is the ``finish``; or a pause, or the longest length."""
        gather = self.gathering
        wanted = gather.digits_wanted or len(digits)
        full = len(digits) >= wanted
        form = {"Digits": digits[:wanted], "FinishedOnKey": "" if full else finish}
        await self.follow(self.action, form)

    async def silence(self) -> None:
        """Do nothing until the provider is tired of waiting, in a gathering or a recording."""
        if isinstance(self.wait, twiml.Record):
            await self.follow(self.action, {})
        else:
            await self.keys("")

    async def report(self) -> str:
        """Say something into the recording and return its id."""
        sid = "RE" + secrets.token_hex(16)
        address = f"https://provider.invalid/Recordings/{sid}"
        await self.follow(
            self.action,
            {"RecordingSid": sid, "RecordingUrl": address, "RecordingDuration": "7", "Digits": "#"},
        )
        return sid

    async def nobody_answers(self) -> None:
        """Be put through to a line that is busy."""
        assert isinstance(self.wait, twiml.Dial)
        await self.follow(self.action, _DECLINED)

    async def hang_up(self) -> int:
        """Hang up; the provider tells the end. Returns the status it is answered with."""
        form = self._form() | {"CallStatus": "completed", "CallDuration": "9"}
        self.wait = None
        return (await self.telephone.once.send(f"{VOICE}/status", form)).status

    # ------------------------------------------------------------------------------------ where the call stands

    @property
    def over(self) -> bool:
        return isinstance(self.wait, twiml.Hangup)

    @property
    def gathering(self) -> twiml.Gather:
        assert isinstance(self.wait, twiml.Gather), self.document
        return self.wait

    @property
    def action(self) -> str:
        """The address that the next turn is told to."""
        assert isinstance(self.wait, twiml.Gather | twiml.Record | twiml.Dial), self.document
        assert self.wait.action is not None
        return self.wait.action

    @property
    def last(self) -> list[str]:
        """The clips of the last answer."""
        return [heard.sha for heard in self.turns[-1] if heard.sha]

    @property
    def sound(self) -> Samples:
        return np.concatenate([heard.sound for heard in self.played])

    @property
    def seconds(self) -> float:
        """How long all that was played takes, pauses included."""
        return seconds(self.played)

    def save(self, path: Path) -> None:
        write_clip(path, self.sound)

    # ------------------------------------------------------------------------------------ what the provider does

    async def ask(self, url: str, form: dict[str, str], *, times: int = 2) -> Answer:
        """Put a question and return its answer, whatever it is."""
        ask = self.telephone.once.send
        answers = [await ask(url, self._form() | form) for _ in range(times)]
        assert all(answer == answers[0] for answer in answers)
        return answers[0]

    async def follow(self, url: str, form: dict[str, str]) -> None:
        """Ask for the next document and play it."""
        line = self.telephone.webhooks if self.repeats else self.telephone.once
        self.document = await line.ask(url, self._form() | form, method="POST")
        await self.play(twiml.read_twiml(self.document))

    async def play(self, verbs: tuple[twiml.Verb, ...]) -> None:
        self.turns.append([])
        for verb in verbs:
            if isinstance(verb, twiml.Say | twiml.Play | twiml.Pause):
                await self._hear(verb)
                continue
            if isinstance(verb, twiml.Gather):
                for prompt in verb.prompts:
                    await self._hear(prompt)
            self.wait = verb
            return
        raise AssertionError(f"the document waits for nothing: {self.document!r}")

    async def _hear(self, prompt: twiml.Prompt) -> None:
        match prompt:
            case twiml.Say():
                raise AssertionError(f"left to the provider's voice: {prompt.text}")
            case twiml.Play():
                sound = await self.telephone.fetch(prompt.url)
                sha = prompt.url.rpartition("/")[2].removesuffix(".wav") if sound.any() else ""
                heard = Heard(sha=sha, sound=sound)
            case twiml.Pause():
                raise AssertionError(f"a pause of whole seconds: {prompt.length_s}")
        self.played.append(heard)
        self.turns[-1].append(heard)

    def _form(self) -> dict[str, str]:
        return {
            "AccountSid": "AC" + "0" * 32,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "CallStatus": "in-progress",
            "Called": CALLED,
            "Caller": self.number,
            "Direction": "inbound",
            "From": self.number,
            "To": CALLED,
        }


def seconds(played: list[Heard]) -> float:
    return sum(len(heard.sound) for heard in played) / RATE


@asynccontextmanager
async def telephone(hotline: Hotline, token: str = TOKEN) -> AsyncIterator[Telephone]:
    """Yield a telephone whose webhooks are signed with ``token``."""

    def emit(step: str, /, **facts: object) -> None:
        if "failure" in facts:
            raise AssertionError(f"{step} {json.dumps(facts, default=str)}")

    async with aiohttp.ClientSession() as session:

        def webhooks(*, repeat: bool) -> Webhooks:
            return Webhooks(session=session, token=token, reach=hotline.origins, repeat=repeat, emit=emit)

        yield Telephone(hotline, webhooks(repeat=True), webhooks(repeat=False))
