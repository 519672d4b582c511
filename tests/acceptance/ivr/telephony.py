"""A telephone call for a test: starts the provider and the caller, each a process of its own, and tells how it went.

The test gives the address of the voice webhook and a script of what the caller does when; it gets back the steps
that the provider took and what the caller heard. Everything stays on the loopback.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.acceptance.ivr.sound import Samples, read_clip

ROOT: Final = Path(__file__).resolve().parents[3]
CALLER: Final = "+8613800000001"
CALLED: Final = "+864008001234"
WITHHELD_USER: Final = "anonymous"  # the SIP user of a caller who shows no number
_START_S: Final = 30.0
_STOP_S: Final = 10.0


# ------------------------------------------------------------------------------------------ the script


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """``ms`` milliseconds after the provider's next step of that name whose address or text contains ``about``.

    Next means: later than the step that the line before in the script waited for.
    """

    step: str
    about: str = ""
    ms: int = 0


def then(ms: int = 0) -> Moment:
    """The line before in the script was done."""
    return Moment(step="", ms=ms)


def answered(ms: int = 0) -> Moment:
    """The call was answered."""
    return Moment(step="answered", ms=ms)


def prompt_begins(about: str = "", ms: int = 0) -> Moment:
    """A clip begins: with a few milliseconds more, the moment of barge-in."""
    return Moment(step="play_begins", about=about, ms=ms)


def prompt_ends(about: str = "", ms: int = 0) -> Moment:
    """A clip was played to its end, or was cut."""
    return Moment(step="play_ends", about=about, ms=ms)


def gathering(ms: int = 0) -> Moment:
    """The provider takes keys; its prompts begin."""
    return Moment(step="gather_begins", ms=ms)


def listening(ms: int = 0) -> Moment:
    """The prompts are over and the provider waits for keys."""
    return Moment(step="gather_waits", ms=ms)


def recording(ms: int = 0) -> Moment:
    """The beep was given and the provider records."""
    return Moment(step="record_begins", ms=ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Key digits (0-9, * and #), each held for 100 ms with ``gap_ms`` between."""

    digits: str
    at: Moment
    gap_ms: int = 60

    def order(self) -> dict[str, object]:
        return {"do": "keys", "digits": self.digits, "gap_ms": self.gap_ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """Make a noise into the telephone, for ``ms`` milliseconds."""

    ms: int
    at: Moment

    def order(self) -> dict[str, object]:
        return {"do": "talk", "ms": self.ms}


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Hang up before the other side does."""

    at: Moment

    def order(self) -> dict[str, object]:
        return {"do": "hang_up"}


Line = Keys | Talk | HangUp


# ------------------------------------------------------------------------------------------ the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the provider; ``at_ms`` counts from the answer, None before it."""

    name: str
    at_ms: int | None
    facts: Mapping[str, Any]

    def is_it(self, moment: Moment) -> bool:
        told = f"{self.facts.get('url', '')}{self.facts.get('text', '')}"
        return self.name == moment.step and moment.about in told


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """One call that is over. ``recording`` is what the caller heard, None if the call was never answered."""

    steps: tuple[Step, ...]
    recording: Samples | None
    recording_path: Path

    @property
    def heard(self) -> Samples:
        """What the caller heard of a call that was answered."""
        assert self.recording is not None, "the call was never answered"
        return self.recording

    @property
    def call_sid(self) -> str:
        return str(self.named("ringing")[0].facts["call_sid"])

    def named(self, name: str) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.name == name)

    @property
    def faults(self) -> tuple[str, ...]:
        """What the provider could not execute or fetch."""
        return tuple(str(step.facts["why"]) for step in self.named("fault"))

    @property
    def played(self) -> tuple[str, ...]:
        """The addresses of the clips in the order in which they began."""
        return tuple(str(step.facts["url"]) for step in self.named("play_begins"))

    @property
    def spoken_by_provider(self) -> tuple[str, ...]:
        """The sentences that were left to the provider's own voice (Say): none, where our clips are complete."""
        return tuple(str(step.facts["text"]) for step in self.named("say_begins"))

    @property
    def digits(self) -> tuple[str, ...]:
        """What each Gather collected, empty strings included."""
        return tuple(str(step.facts["digits"]) for step in self.named("gather_ends"))

    @property
    def hung_up_by_caller(self) -> bool:
        return bool(self.named("caller_gone"))

    @property
    def audio_played_s(self) -> float:
        """Seconds of clips and sentences that were really played, cut ones up to the cut."""
        ends = (*self.named("play_ends"), *self.named("say_ends"))
        return sum(int(step.facts["played_ms"]) for step in ends) / 1000

    @property
    def seconds(self) -> float:
        """How long the call lasted from the answer to its end; 0 if it was not answered."""
        return float(self.named("ended")[0].facts["seconds"])

    def describe(self) -> str:
        """Return the steps, one a line, for the message of a failed assertion."""
        return "\n".join(f"{step.at_ms} {step.name} {dict(step.facts)}" for step in self.steps)


# ------------------------------------------------------------------------------------------ the call


@dataclass(slots=True)
class Peer:
    """One of the two processes, and what it has said so far."""

    process: Process
    errors: Path
    said: list[Step] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    silent: bool = False  # its output ended

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            facts = json.loads(line)
            async with self.changed:
                self.said.append(Step(name=facts.pop("step"), at_ms=facts.pop("at_ms", None), facts=facts))
                self.changed.notify_all()
        async with self.changed:
            self.silent = True
            self.changed.notify_all()

    async def order(self, **order: object) -> None:
        assert self.process.stdin is not None
        with suppress(ConnectionError):  # a process that has ended says why by itself
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            await self.process.stdin.drain()

    async def wait_for(self, moment: Moment, since: int = 0) -> int | None:
        """Return the index after the first step from ``since`` on that fits; None if the process ends first."""
        place = since
        async with self.changed:
            while True:
                while place < len(self.said):
                    place += 1
                    if self.said[place - 1].is_it(moment):
                        return place
                if self.silent:
                    return None
                await self.changed.wait()

    async def expect(self, step: str) -> Step:
        async with asyncio.timeout(_START_S):
            found = await self.wait_for(Moment(step=step))
        assert found is not None, self.describe()
        return self.said[found - 1]

    async def end(self, patience_s: float) -> None:
        """Wait for the end of the process. Raises AssertionError if it fails, or lives on."""
        try:
            async with asyncio.timeout(patience_s):
                code = await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"no end in {patience_s} s:\n{self.describe()}") from None
        assert code == 0, f"exit {code}:\n{self.describe()}"

    def describe(self) -> str:
        """Return all that was said, and what went wrong, for the message of a failed assertion."""
        return "\n".join((*map(str, self.said), self.errors.read_text()))


async def call(
    voice_url: str,
    token: str,
    script: Sequence[Line],
    *,
    folder: Path,
    caller: str | None = CALLER,
    called: str = CALLED,
    status_url: str | None = None,
    reach: Mapping[str, str] | None = None,
    repeat_requests: bool = False,
    faults_expected: bool = False,
    patience_s: float = 60.0,
) -> CallResult:
    """Make one call and return how it went. Several may be made at the same time.

    ``caller`` None withholds the number. ``reach`` maps a public origin (``https://verify.example.org``) to the one
    that really listens. ``repeat_requests`` puts every question twice and wants equal answers. A call that takes
    longer than ``patience_s`` or ends before its script does fails the test, and so does a fault unless expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "heard.wav"
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(_peer("telephony_provider", folder))
        phone = await stack.enter_async_context(_peer("phone", folder))
        await provider.order(
            called=called,
            voice_url=voice_url,
            status_url=status_url,
            token=token,
            reach=dict(reach or {}),
            repeat=repeat_requests,
        )
        await phone.order(user=WITHHELD_USER if caller is None else caller, recording=str(path))
        listening, _ = await asyncio.gather(provider.expect("listening"), phone.expect("ready"))
        await phone.order(do="dial", to=f"sip:{called}@127.0.0.1:{listening.facts['port']}")
        acting = asyncio.create_task(_act(script, provider, phone))
        try:
            await provider.end(patience_s)
            left = await acting
        finally:
            acting.cancel()
        await phone.end(_STOP_S)
    result = _result(provider, path)
    assert not left, f"the call ended before {left}:\n{result.describe()}"
    assert faults_expected or not result.faults, f"{result.faults}\n{result.describe()}"
    return result


async def _act(script: Sequence[Line], provider: Peer, phone: Peer) -> Sequence[Line]:
    """Give the phone its orders when their moments come; return the lines whose moment never came."""
    since = 0
    for index, line in enumerate(script):
        found = await provider.wait_for(line.at, since) if line.at.step else since
        if found is None:
            return script[index:]
        since = found
        await phone.order(after_ms=line.at.ms, **line.order())
    return ()


def _result(provider: Peer, path: Path) -> CallResult:
    heard = read_clip(path) if path.exists() else None
    return CallResult(steps=tuple(provider.said), recording=heard, recording_path=path)


@asynccontextmanager
async def _peer(module: str, folder: Path) -> AsyncIterator[Peer]:
    """Start one of the processes; it is gone when the block ends."""
    errors = folder / f"{module}.err"
    with errors.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", f"tests.acceptance.ivr.{module}"),
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
        )
    peer = Peer(process=process, errors=errors)
    listening = asyncio.create_task(peer.listen())
    try:
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening
        assert process.stdin is not None
        process.stdin.close()
