"""Synthesis by pyttsx3 over eSpeak NG, in child processes, because it is process-global, GPL and known to crash.

The child is ``worker.py``, run as a program of its own; nothing of the voice is ever loaded here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from app.core.errors import SpeechUnavailable
from app.core.model.value import value
from app.speech.ports import ClipFailed, ClipMade, ClipOrder

_PROGRAM: Final = Path(__file__).with_name("worker.py")
_PACKAGES: Final = ("pyttsx3", "espeakng_loader", "soundfile", "soxr")
_ENGINE: Final = "espeak-ng 1.52"
_ANSWER_S: Final = 20.0
_LINE_BYTES: Final = 1 << 20
_ENDING_S: Final = 1.0


@value
class Voice:
    """A voice of eSpeak NG by its identifier, and how fast it speaks in words a minute."""

    name: str
    rate: int


# Debian's 1.51 reads hanzi as English words with its `cmn`; the pinyin voice is right in every release.
VOICES: Final = {
    "zh-CN": Voice(name="sit/cmn-latn-pinyin", rate=182),
    "en": Voice(name="gmw/en", rate=165),
}


def identity(voice: str) -> str:
    """Return what the clips of a locale's voice are made with; it needs none of the packages."""
    chosen = VOICES[voice]
    return f"{_ENGINE} {chosen.name} {chosen.rate}"


class Pyttsx3Synthesiser:
    """The synthesiser of the extra ``speech``; ``jobs`` children render at once."""

    def __init__(self, *, jobs: int = 1) -> None:
        self._jobs = jobs

    @staticmethod
    def installed() -> bool:
        """Tell whether the packages of the extra are there."""
        return all(find_spec(name) is not None for name in _PACKAGES)

    def identity(self, voice: str) -> str:
        """See :func:`identity`."""
        return identity(voice)

    async def render(self, orders: Sequence[ClipOrder]) -> AsyncGenerator[ClipMade | ClipFailed, None]:
        """Make the clips. Raises ``SpeechUnavailable`` where no child starts."""
        results: asyncio.Queue[ClipMade | ClipFailed | SpeechUnavailable] = asyncio.Queue()
        waiting = iter(orders)
        children = [_Child() for _ in range(min(self._jobs, len(orders)))]
        tasks = [asyncio.create_task(_render_all(child, waiting, results)) for child in children]
        try:
            for _ in orders:
                result = await results.get()
                if isinstance(result, SpeechUnavailable):
                    raise result
                yield result
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for child in children:
                await child.stop()

    async def phonemes(self, texts: Sequence[str], voice: str) -> Sequence[str]:
        """Return the pronunciation of each text, in IPA. Raises ``SpeechUnavailable``."""
        child = _Child()
        try:
            answers = []
            for text in texts:
                answer = await child.ask({"do": "phonemes", "text": text, "voice": VOICES[voice].name})
                answers.append(str(answer["phonemes"]))
            return answers
        finally:
            await child.stop()


class _ChildLost(Exception):
    """The child ended or said nothing for too long."""


class _Child:
    """One child process, started at the first order and again after it was lost."""

    def __init__(self) -> None:
        self._running: Process | None = None

    async def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return the child's answer. Raises ``_ChildLost``, after which the next order gets a new child."""
        child = self._running or await self._start()
        assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - pipes were asked for
        try:
            child.stdin.write(json.dumps(order).encode() + b"\n")
            async with asyncio.timeout(_ANSWER_S):
                await child.stdin.drain()
                line = await child.stdout.readline()
        except TimeoutError:
            await self.stop()
            raise _ChildLost(f"the voice said nothing for {_ANSWER_S:.0f} s") from None
        except OSError:
            line = b""
        if not line:
            await self.stop()
            raise _ChildLost(f"the voice's process ended ({child.returncode})")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def stop(self) -> None:
        """End the child, whatever it is doing. May be repeated after a cancellation."""
        child = self._running
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        if child.returncode is None and child.stdout is not None and child.stdout.at_eof():
            with suppress(TimeoutError):  # it ended by itself: let that be noticed, or its exit code is lost
                await asyncio.wait_for(child.wait(), _ENDING_S)
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        self._running = None

    async def _start(self) -> Process:
        try:
            self._running = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(_PROGRAM),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                limit=_LINE_BYTES,
            )
        except OSError as error:
            raise SpeechUnavailable(f"The voice's process cannot be started: {error}.") from error
        return self._running


async def _render_all(
    child: _Child,
    orders: Iterator[ClipOrder],
    results: asyncio.Queue[ClipMade | ClipFailed | SpeechUnavailable],
) -> None:
    try:
        for order in orders:
            results.put_nowait(await _render(child, order))
    except SpeechUnavailable as error:
        results.put_nowait(error)


async def _render(child: _Child, order: ClipOrder) -> ClipMade | ClipFailed:
    voice = VOICES[order.voice]
    try:
        answer = await child.ask(
            {
                "do": "render",
                "text": order.text,
                "voice": voice.name,
                "rate": voice.rate,
                "path": str(order.path),
            }
        )
    except _ChildLost as error:
        return ClipFailed(order=order, why=str(error))
    return ClipFailed(order=order, why=str(answer["error"])) if answer.get("error") else ClipMade(order=order)
