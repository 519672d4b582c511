"""A clip library without files: every phrase and name has a clip, but for those that are said to be missing."""

from __future__ import annotations

import io
import wave
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from app.speech.library import Clip
from app.speech.silence import find_silence_ms, silence_sha, silence_sound
from app.speech.spoken import Name, Pause, Phrase, Spoken

DURATION_MS = 500


def words_of(item: Phrase | Name) -> str:
    """Return what tells an item from all others: the key of a phrase, the text of a name."""
    return item.key if isinstance(item, Phrase) else item.text


def clip_sha(words: str, locale: str) -> str:
    """Return the name of the clip of a key or a name."""
    return sha256(f"{locale} {words}".encode()).hexdigest()[:32]


class FakeClips:
    """``missing`` holds keys and names without a clip; :meth:`words` tells what a given clip says."""

    def __init__(self, missing: Collection[str] = ()) -> None:
        self.missing = frozenset(missing)
        self._words: dict[str, str] = {}

    def clips(self, spoken: Spoken, locale: str) -> tuple[Clip | Pause, ...]:
        found = (item if isinstance(item, Pause) else self.find(item, locale) for item in spoken)
        return tuple(part for part in found if part is not None)

    def find(self, item: Phrase | Name, locale: str) -> Clip | None:
        words = words_of(item)
        if words in self.missing:
            return None
        sha = clip_sha(words, locale)
        self._words[sha] = words
        return Clip(path=Path(f"{sha}.wav"), sha=sha, duration_ms=DURATION_MS)

    def sound(self, sha: str) -> bytes | None:
        if (pause_ms := find_silence_ms(sha)) is not None:
            return silence_sound(pause_ms)
        if sha not in self._words:
            return None
        written = io.BytesIO()
        with wave.open(written, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes(b"\0\0" * (8 * DURATION_MS))
        return written.getvalue()

    def silence(self, pause_ms: int) -> str:
        return silence_sha(pause_ms)

    def sentence(self, key: str, locale: str) -> str:
        return f"{key} in {locale}"

    def words(self, sha: str) -> str:
        """Return the key or name of a clip that was given out, "500 ms" for silence."""
        pause_ms = find_silence_ms(sha)
        return self._words[sha] if pause_ms is None else f"{pause_ms} ms"
