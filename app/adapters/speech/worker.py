"""The voice's own process: reads one order a line from standard input and answers each with a line of JSON.

Run as a program, never imported: eSpeak NG is process-global, its licence is GPL, and pyttsx3 can crash with it. What
eSpeak says depends on what it said before, so each clip is spoken by a fork of an engine that has said nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

_TELEPHONE_HZ: Final = 8000
_PEAK: Final = 0.6  # of full scale: -4.4 dBFS
_SILENCE: Final = 0.01  # of the peak
_HEAD_S: Final = 0.010
_TAIL_S: Final = 0.030
_UTF8: Final = 1
_IPA: Final = 2
_SEED: Final = 1
_DEADLINE_S: Final = 15
_SYNCHRONOUS: Final = 2  # AUDIO_OUTPUT_SYNCHRONOUS: eSpeak starts no thread, so nothing can race for the file


class _Voice:
    """pyttsx3 with the eSpeak NG of its package; one of these a process."""

    def __init__(self) -> None:
        import espeakng_loader

        library = espeakng_loader.get_library_path()
        data = str(Path(espeakng_loader.get_data_path()).parent)
        load = ctypes.cdll.LoadLibrary
        self._espeak = load(library)
        # pyttsx3 looks for a library of the system, whose Mandarin may be broken
        ctypes.cdll.LoadLibrary = lambda name: self._espeak if "espeak" in name else load(name)  # type: ignore[method-assign]
        import pyttsx3
        from pyttsx3.drivers import _espeak, espeak

        espeak.time = SimpleNamespace(sleep=lambda _: None)  # it naps after every file, waiting for no thread

        initialise, speak = _espeak.Initialize, _espeak.Synth
        _espeak.Initialize = lambda _, length: initialise(_SYNCHRONOUS, length, data.encode())
        self._engine = pyttsx3.init("espeak")
        driver = self._engine.proxy._driver  # noqa: SLF001 - it waits for an event that comes from the other mode only
        ended = (_espeak.EVENT * 2)()
        ended[0].type, ended[1].type = _espeak.EVENT_MSG_TERMINATED, _espeak.EVENT_LIST_TERMINATED

        def speak_to_the_end(text: bytes, *, flags: int) -> None:
            speak(text, flags=flags)
            driver._onSynth(None, 0, ended)  # noqa: SLF001

        _espeak.Synth = speak_to_the_end
        self._done = threading.Event()
        self._engine.connect("finished-utterance", lambda name, completed: self._done.set())  # noqa: ARG005
        self._espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def save(self, text: str, voice: str, rate: int, path: Path) -> None:
        """Write ``text`` as it is spoken, in a fork. Raises ``ValueError`` where nothing comes, or a crash."""
        child = os.fork()
        if child == 0:
            signal.alarm(_DEADLINE_S)
            try:
                self._save(text, voice, rate, path)
            except BaseException:  # noqa: BLE001 - nothing of the parent's may run in the fork
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            raise ValueError(f"the voice was ended by signal {-status}")
        if status or not path.exists():
            raise ValueError("the voice wrote no file")

    def _save(self, text: str, voice: str, rate: int, path: Path) -> None:
        self._engine.setProperty("voice", voice)
        self._engine.setProperty("rate", rate)
        self._espeak.espeak_ng_SetRandSeed(_SEED)  # breath noise is random
        self._engine.save_to_file(text, str(path))
        self._engine.runAndWait()
        if not self._done.is_set():
            raise ValueError("the voice did not finish")

    def phonemes(self, text: str, voice: str) -> str:
        """Return the pronunciation in IPA, with a mark where the language changes."""
        if self._espeak.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"there is no voice {voice}")
        rest = ctypes.c_char_p(text.encode())
        clauses = []
        while rest.value:
            clauses.append(self._espeak.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA) or b"")
        return b" ".join(clauses).decode()


def _for_the_telephone(source: Path, target: Path) -> None:
    """Cut the silence, set the level, and write 8 kHz, mono, 16 bit. Raises ``ValueError`` for silence."""
    import soundfile
    import soxr

    samples, rate = soundfile.read(str(source), dtype="float32")
    loud = abs(samples)
    if not len(samples) or loud.max() < _SILENCE:
        raise ValueError("the voice said nothing")
    heard = (loud > _SILENCE * loud.max()).nonzero()[0]
    first = max(int(heard[0] - _HEAD_S * rate), 0)
    samples = soxr.resample(samples[first : int(heard[-1] + _TAIL_S * rate)], rate, _TELEPHONE_HZ)
    samples *= _PEAK / abs(samples).max()
    soundfile.write(str(target), samples, _TELEPHONE_HZ, subtype="PCM_16", format="WAV")


def _render(voice: _Voice, order: dict[str, Any]) -> dict[str, str]:
    final = Path(order["path"])
    final.parent.mkdir(parents=True, exist_ok=True)
    spoken = final.with_name(f".{final.stem}.{os.getpid()}.spoken")
    cut = spoken.with_suffix(".cut")
    try:
        voice.save(order["text"], order["voice"], order["rate"], spoken)
        _for_the_telephone(spoken, cut)
        cut.replace(final)
    finally:
        spoken.unlink(missing_ok=True)
        cut.unlink(missing_ok=True)
    return {}


def _answer(voice: _Voice, order: dict[str, Any]) -> dict[str, str]:
    if order["do"] == "phonemes":
        return {"phonemes": voice.phonemes(order["text"], order["voice"])}
    return _render(voice, order)


def _serve(say: Callable[[dict[str, str]], None]) -> None:
    voice: _Voice | None = None
    for line in sys.stdin:
        try:
            voice = voice or _Voice()
            say(_answer(voice, json.loads(line)))
        except Exception as error:  # noqa: BLE001 - one bad order must not end the others
            say({"error": f"{type(error).__name__}: {error}"})


def main() -> None:
    """Answer orders until standard input ends."""
    os.nice(10)  # calls go before clips
    # pyttsx3 prints about every file; only answers may reach the parent
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)

        def say(answer: dict[str, str]) -> None:
            answers.write(json.dumps(answer) + "\n")
            answers.flush()

        _serve(say)


if __name__ == "__main__":
    main()
