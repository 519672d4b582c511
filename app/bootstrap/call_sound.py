"""The sound of a simulated call: clips, pauses and tones one after the other, 8 kHz mono."""

from __future__ import annotations

import math
import sys
import wave
from array import array
from io import BytesIO
from pathlib import Path
from typing import Final

from app.bootstrap.sound_player import SoundPlayer
from app.core.errors import FileUnwritable, Undecodable
from app.speech.sound import RATE_HZ, write_wav

LONGEST_CLIP_BYTES: Final = 2 * 1024 * 1024  # two minutes
_TONE_HZ: Final = 440
_TONE_MS: Final = 400
_TONE_PEAK: Final = 6_000


class CallSound:
    """What was heard so far, 16-bit samples."""

    def __init__(self) -> None:
        self._samples: array[int] = array("h")
        self._taken = 0

    @property
    def length_ms(self) -> int:
        """How long it plays."""
        return len(self._samples) * 1000 // RATE_HZ

    def add_clip(self, samples: array[int]) -> None:
        """Add a clip as :meth:`read_clip` returns it."""
        self._samples.extend(samples)

    def add_tone(self) -> None:
        """Add a short tone, for words of a voice that is not here."""
        count = _TONE_MS * RATE_HZ // 1000
        turn = 2 * math.pi * _TONE_HZ / RATE_HZ
        self._samples.extend(round(_TONE_PEAK * math.sin(turn * at)) for at in range(count))

    def save(self, path: Path) -> None:
        """Write it as one WAV file. Blocking. Raises ``FileUnwritable``."""
        _write(path, self._samples)

    def save_latest(self, path: Path) -> int:
        """Write what came since the last time as a WAV file of its own, and return how many milliseconds that plays.

        Blocking. Raises ``FileUnwritable``.
        """
        latest = self._samples[self._taken :]
        self._taken = len(self._samples)
        _write(path, latest)
        return len(latest) * 1000 // RATE_HZ

    @staticmethod
    def read_clip(body: bytes) -> array[int]:
        """Return the samples of a file's bytes. Raises ``Undecodable`` for other than 8 kHz, mono, 16 bit."""
        try:
            with wave.open(BytesIO(body), "rb") as file:
                shape = (file.getframerate(), file.getnchannels(), file.getsampwidth())
                frames = file.readframes(file.getnframes())
        except (wave.Error, EOFError):
            raise Undecodable("A clip is no WAV file. See the server's log, and `prompts check`.") from None
        if shape != (RATE_HZ, 1, 2):
            raise Undecodable("A clip is not of 8 kHz, mono, 16 bit. Run `prompts check` at the server.")
        samples = array("h", frames)
        if sys.byteorder == "big":
            samples.byteswap()
        return samples


def _write(path: Path, samples: array[int]) -> None:
    try:
        write_wav(path, samples)
    except OSError as error:
        raise FileUnwritable(f"The call cannot be saved to {path}: {error.strerror}.") from error


class CallSpeaker:
    """Lets a call be heard as it goes, each turn as one sound."""

    def __init__(self, sound: CallSound, player: SoundPlayer, folder: Path) -> None:
        self._sound = sound
        self._player = player
        self._folder = folder
        self._turns = 0

    def play_turn(self) -> None:
        """Begin to play what was said since the last turn, and return at once."""
        self._turns += 1
        file = self._folder / f"turn-{self._turns:02d}.wav"
        length_ms = self._sound.save_latest(file)
        if length_ms:
            self._player.start(file, length_ms=length_ms)

    def finish(self) -> bool:
        """Wait until the turn was played; False where the player could not play it."""
        return self._player.finish() == 0

    def stop(self) -> None:
        """Fall silent, as at a key pressed."""
        self._player.stop()
