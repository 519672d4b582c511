"""The synthesiser: what makes clips of sentences, wherever it runs and whatever voice it has."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Protocol

from app.core.model.value import value


@value
class ClipOrder:
    """One clip to be made. ``label`` names it in messages; ``voice`` is the locale whose voice reads ``text``."""

    label: str
    voice: str
    text: str
    path: Path


@value
class ClipMade:
    """The clip of ``order`` is at its path, whole."""

    order: ClipOrder


@value
class ClipFailed:
    """No clip was made, and nothing is at the path that was not there before. ``why`` is for an operator."""

    order: ClipOrder
    why: str


class Synthesiser(Protocol):
    """Promise: clips are PCM WAV, 8 kHz, mono, 16 bit, trimmed and at one level, and equal orders give equal bytes.

    A clip appears at its path at once and whole, also when several synthesisers make the same one. It never runs in
    the caller's process and blocks no event loop. One bad order fails alone, and every order has a result. Closing
    the iterator stops the work.
    """

    def identity(self, voice: str) -> str:
        """Return what makes these clips different from another synthesiser's: its name, version, voice and rate."""
        ...

    def render(self, orders: Sequence[ClipOrder]) -> AsyncGenerator[ClipMade | ClipFailed, None]:
        """Make the clips and yield each result as it comes."""
        ...

    async def phonemes(self, texts: Sequence[str], voice: str) -> Sequence[str]:
        """Return how each text would be pronounced, in IPA; a change of language is marked, as in ``(en)``."""
        ...
