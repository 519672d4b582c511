"""Pauses as clips, for a provider whose own pauses are whole seconds: silence is a sound file like any other.

There is one clip for each hundredth of a second up to two seconds, named by its content like all clips. So every
machine knows the names that another gave out, and nothing is stored.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Final

from app.speech.sound import RATE_HZ, wav

STEP_MS: Final = 10
LONGEST_MS: Final = 2_000
_DIGEST_CHARS: Final = 32
_HELD: Final = 16  # a dialogue has a handful of lengths; one of two seconds is 32 kB


def silence_sha(pause_ms: int) -> str:
    """Return the name of the clip nearest to ``pause_ms``: at least one step, at most ``LONGEST_MS``."""
    steps = min(max((pause_ms + STEP_MS // 2) // STEP_MS, 1), LONGEST_MS // STEP_MS)
    return _names()[steps * STEP_MS]


def find_silence_ms(sha: str) -> int | None:
    """Return how long the silent clip of this name lasts, None where no silence has this name."""
    return _lengths().get(sha)


@lru_cache(maxsize=_HELD)
def silence_sound(length_ms: int) -> bytes:
    """Return the file of a silent clip, PCM WAV of 8 kHz, mono, 16 bit."""
    return wav(array("h", bytes(2 * (length_ms * RATE_HZ // 1000))))


@cache
def _names() -> Mapping[int, str]:
    lengths = range(STEP_MS, LONGEST_MS + 1, STEP_MS)
    # past the cache, which it would only fill
    return {ms: hashlib.sha256(silence_sound.__wrapped__(ms)).hexdigest()[:_DIGEST_CHARS] for ms in lengths}


@cache
def _lengths() -> Mapping[str, int]:
    return {sha: ms for ms, sha in _names().items()}
