"""`yanzhen simulate call`."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from app.cli.context import add_json, settings_of
from app.cli.exits import CommandInvalid
from app.cli.output import write_json, write_line, write_notice
from app.core.errors import FileUnwritable

if TYPE_CHECKING:
    from app.bootstrap.call_sound import CallSpeaker
    from app.bootstrap.simulated_call import Heard, SimulatedCall, Waiting

Press = Callable[["Waiting"], "str | None"]

_FROM: Final = "+8613800138000"
_TO: Final = "95001"
_KEYS: Final = re.compile(r"[0-9*#]{0,64}")
_GAPS: Final = re.compile(r"[\s-]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--from", dest="caller", default=_FROM, metavar="NUMBER", help=f"who calls ({_FROM})")
    parser.add_argument("--withheld", action="store_true", help="call without showing a number")
    parser.add_argument("--to", default=_TO, metavar="NUMBER", help=f"the number called ({_TO})")
    parser.add_argument(
        "--keys",
        metavar="KEYS",
        help="keys of each turn with commas between, then silence: 35072000100348143519#,*,2; otherwise they are "
        "read line by line, and an empty line is silence",
    )
    parser.add_argument(
        "--transfer",
        choices=("no-answer", "busy", "completed"),
        default="no-answer",
        help="how it ends when the call is put through: no-answer, busy or completed (no-answer)",
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write everything that is said as a WAV file"
    )
    parser.add_argument(
        "--play",
        action="store_true",
        help="let the call be heard as it goes, by aplay, paplay, afplay or ffplay, whichever is there; "
        "keys cut it short",
    )
    parser.add_argument("--url", default="", help="where the server listens (http://127.0.0.1 and the port)")
    parser.add_argument("--port", type=int, help="port the server listens on (8315)")
    parser.add_argument("--public-url", metavar="URL", help="the server's public address, which is signed")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Call the server, print what is said, press keys, and hang up when the service does or the input ends."""
    from app.bootstrap.call_sound import CallSpeaker
    from app.bootstrap.simulated_call import open_call
    from app.bootstrap.sound_player import require_player

    settings = settings_of(arguments)
    save: Path | None = arguments.save
    if save is not None and not save.resolve().parent.is_dir():
        raise FileUnwritable(f"There is no folder for {save}. Make it first.")
    player = require_player() if arguments.play else None
    spoken = not arguments.json
    press = _reader(ask=spoken) if arguments.keys is None else _script(arguments.keys, show=spoken)
    # one loop in pieces, so that a line is awaited outside it and Ctrl-C ends the waiting at once
    with asyncio.Runner() as runner, ExitStack() as parts:
        call = runner.run(
            open_call(
                settings,
                caller="" if arguments.withheld else _GAPS.sub("", arguments.caller),
                ours=arguments.to,
                url=(arguments.url or f"http://127.0.0.1:{settings.port}").rstrip("/"),
                transfers=arguments.transfer,
            )
        )
        parts.callback(lambda: runner.run(call.close()))
        ear = _Ear(None, patient=True)
        if player is not None:
            folder = Path(parts.enter_context(TemporaryDirectory(prefix="yanzhen-call-")))
            parts.callback(player.stop)
            # keys that are there already would cut every turn off before a word of it
            patient = arguments.keys is not None or not sys.stdin.isatty()
            ear = _Ear(CallSpeaker(call.sound, player, folder), patient=patient)
        turns = _converse(runner, call, press, ear, spoken=spoken)
    if save is not None:
        call.sound.save(save)
    _report(call, turns, save, as_json=arguments.json)
    return 0


class _Ear:
    """What the person calling hears: each turn, or nothing where there is no speaker. ``patient`` hears turns out."""

    def __init__(self, speaker: CallSpeaker | None, *, patient: bool) -> None:
        self._speaker = speaker
        self._patient = patient
        self._told = False

    def listen(self, *, is_last: bool) -> None:
        """Let the turn be heard; to its end where nobody could press a key meanwhile."""
        if self._speaker is None:
            return
        self._speaker.play_turn()
        if (self._patient or is_last) and not self._speaker.finish() and not self._told:
            self._told = True
            write_notice("The player could not play it; the call goes on. --save FILE keeps what is said.")

    def interrupt(self) -> None:
        """Cut the turn short by a key."""
        if self._speaker is not None:
            self._speaker.stop()


def _converse(
    runner: asyncio.Runner, call: SimulatedCall, press: Press, ear: _Ear, *, spoken: bool
) -> list[dict[str, Any]]:
    """Live through the call and return its turns as JSON has them."""
    turns: list[dict[str, Any]] = []
    heard = runner.run(call.dial())
    if spoken:
        write_line(f"{call.call_id}: ringing, answered")
    while True:
        turns.append(_turn(heard))
        if spoken:
            _show(heard)
        ear.listen(is_last=heard.waiting is None)
        if heard.waiting is None:
            return turns
        keys = press(heard.waiting)
        ear.interrupt()
        turns[-1]["pressed"] = keys
        if keys is None:
            return turns
        heard = runner.run(call.press(keys))


def _turn(heard: Heard) -> dict[str, Any]:
    wait = heard.waiting
    waits_for = wait and {
        "kind": "speech" if wait.records else "keys",
        "most": wait.most,
        "ends_on_hash": wait.ends_on_hash,
        "silence_s": wait.silence_s,
    }
    return {"said": heard.lines, "waits_for": waits_for, "pressed": None}


def _show(heard: Heard) -> None:
    for line in heard.lines:
        write_line(f"  {line}")
    if wait := heard.waiting:
        if wait.records:
            write_line(
                f"[recording, at most {wait.silence_s} s: # says something; an empty line says nothing]"
            )
        else:
            keys = "1 key" if wait.most == 1 else f"up to {wait.most} keys"
            ends = ", # ends them" if wait.ends_on_hash else ""
            write_line(f"[{keys}{ends}; an empty line is {wait.silence_s} s of silence]")
    sys.stdout.flush()


def _report(call: SimulatedCall, turns: list[dict[str, Any]], save: Path | None, *, as_json: bool) -> None:
    length_ms = call.sound.length_ms
    if as_json:
        write_json(
            {
                "call_id": call.call_id,
                "turns": turns,
                "ended": call.ended,
                "audio_ms": length_ms,
                "saved": None if save is None else str(save),
            }
        )
        return
    who = "You hung up" if call.ended == "caller" else "The call is over"
    turned = "1 turn" if len(turns) == 1 else f"{len(turns)} turns"
    write_line(f"{who}: {turned}, {length_ms / 1000:.1f} s of speech and pauses.")
    if save is not None:
        write_line(f"Saved {save}: {length_ms / 1000:.1f} s.")


def _script(keys: str, *, show: bool) -> Press:
    """Return the keys of ``--keys`` turn by turn, then silence. Raises ``CommandInvalid``."""
    turns = [_GAPS.sub("", part) for part in keys.split(",")]
    if wrong := next((part for part in turns if not _KEYS.fullmatch(part)), None):
        raise CommandInvalid(f"--keys: {wrong!r} is not on a telephone; it has 0 to 9, * and #.")
    coming = iter(turns)

    def press(_wait: Waiting) -> str:
        pressed = next(coming, "")
        if show:
            write_line(f"> {pressed or '(silence)'}")
        return pressed

    return press


def _reader(*, ask: bool) -> Press:
    """Return what reads a turn's keys from a line of the input; its end hangs up."""

    def press(_wait: Waiting) -> str | None:
        while True:
            if ask:
                sys.stdout.write("> ")
                sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                if ask:
                    write_line()
                return None
            keys = _GAPS.sub("", line)
            if _KEYS.fullmatch(keys):
                if ask and not sys.stdin.isatty():  # a terminal has shown them itself
                    write_line(keys or "(silence)")
                return keys
            write_notice("A telephone has 0 to 9, * and #; end the input (Ctrl-D) to hang up.")

    return press
