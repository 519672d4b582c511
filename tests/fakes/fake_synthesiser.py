"""A synthesiser that hums: a clip of 440 Hz whose length is that of its text; some texts it cannot say."""

from __future__ import annotations

import math
from array import array
from collections.abc import AsyncGenerator, Sequence

from app.speech.ports import ClipFailed, ClipMade, ClipOrder
from app.speech.sound import RATE_HZ, write_wav

MS_PER_CHAR = 100


def hum(duration_ms: int, amplitude: int = 12_000) -> array[int]:
    """Samples of a tone."""
    count = duration_ms * RATE_HZ // 1000
    return array("h", (round(amplitude * math.sin(2 * math.pi * 440 * n / RATE_HZ)) for n in range(count)))


class FakeSynthesiser:
    """Keeps its promises without a voice. ``rendered`` is what it was asked for, in order."""

    def __init__(self, *, unspeakable: Sequence[str] = (), name: str = "hum 1") -> None:
        self.rendered: list[ClipOrder] = []
        self._unspeakable = unspeakable
        self._name = name

    def identity(self, voice: str) -> str:
        return f"{self._name} {voice}"

    async def render(self, orders: Sequence[ClipOrder]) -> AsyncGenerator[ClipMade | ClipFailed, None]:
        for order in orders:
            self.rendered.append(order)
            if order.text in self._unspeakable:
                yield ClipFailed(order=order, why="it cannot be said")
                continue
            order.path.parent.mkdir(parents=True, exist_ok=True)
            write_wav(order.path, hum(MS_PER_CHAR * len(order.text)))
            yield ClipMade(order=order)

    async def phonemes(self, texts: Sequence[str], voice: str) -> Sequence[str]:
        return [f"(en){text}(cmn)" if text.isascii() else text for text in texts]
