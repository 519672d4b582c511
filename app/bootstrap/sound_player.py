"""Playing sound files through whatever player the machine has, as a child process and never through a shell."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.core.errors import RuleBroken

_PLAYERS: Final = (  # ALSA, PulseAudio and PipeWire, macOS, FFmpeg
    ("aplay", "-q"),
    ("paplay",),
    ("afplay",),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"),
)
_START_S: Final = 10.0  # until a sound card wakes up
_GOODBYE_S: Final = 2.0


class SoundPlayer:
    """One player, one sound at a time; what it has to complain of goes to standard error. Close it in any case."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._playing: subprocess.Popen[bytes] | None = None
        self._until_s = 0.0

    @property
    def name(self) -> str:
        """The player's name."""
        return Path(self._command[0]).name

    def start(self, file: Path, *, length_ms: int) -> None:
        """Begin to play a WAV file of ``length_ms``; whatever was playing is cut off. Raises ``RuleBroken``."""
        self.stop()
        try:
            self._playing = subprocess.Popen(  # noqa: S603 - a player of a fixed list, and a file of ours
                [*self._command, str(file.absolute())],
                stdin=subprocess.DEVNULL,  # keys are for the call
                stdout=subprocess.DEVNULL,
            )
        except OSError as error:
            raise RuleBroken(f"{self.name} cannot be started: {error.strerror}.") from error
        self._until_s = _START_S + length_ms / 1000

    def finish(self) -> int:
        """Wait for the end of the sound, not much longer than it lasts; return the exit code, 0 for success."""
        if self._playing is None:
            return 0
        try:
            return self._playing.wait(self._until_s)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            self.stop()

    def stop(self) -> None:
        """Cut off what is playing."""
        playing, self._playing = self._playing, None
        if playing is None or playing.poll() is not None:
            return
        playing.terminate()
        with suppress(subprocess.TimeoutExpired):
            playing.wait(_GOODBYE_S)
            return
        playing.kill()
        playing.wait()


def find_player() -> SoundPlayer | None:
    """Return the first player of the machine, None where there is none."""
    for program, *flags in _PLAYERS:
        if found := shutil.which(program):
            return SoundPlayer((found, *flags))
    return None


def require_player() -> SoundPlayer:
    """Return the first player of the machine. Raises ``RuleBroken`` where there is none."""
    player = find_player()
    if player is None:
        names = ", ".join(program for program, *_ in _PLAYERS)
        raise RuleBroken(
            f"Nothing here can play a sound; looked for {names}. Install one of them (aplay is in alsa-utils), or "
            "keep the call as a file: --save call.wav."
        )
    return player
