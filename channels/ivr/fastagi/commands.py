"""The commands we send, as lines. Words are quoted so that nothing inside them can end a word or a line."""

from __future__ import annotations

import re
from typing import Final

ANSWER: Final = "ANSWER"
CHANNEL_STATUS: Final = "CHANNEL STATUS"
HANGUP: Final = "HANGUP"
KEYS: Final = "0123456789*#"
LETTERS: Final = "ABCD"  # keys of some telephones, without a meaning here

LONGEST_LINE: Final = 8190  # octets before LF; behind them Asterisk reads a second command
_BARE: Final = re.compile(r"[A-Za-z0-9_./+:=-]+")


def quoted(word: str) -> str:
    """Return ``word`` as Asterisk reads one argument. Raises ``ValueError`` for control characters, which it cannot."""
    if any(sign < " " or sign == "\x7f" for sign in word):
        raise ValueError("A control character cannot be sent to a switch.")
    if _BARE.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def stream_file(sound: str, keys: str = "") -> str:
    """Play a sound file; one of ``keys`` stops it and is the result."""
    return f'STREAM FILE {quoted(sound)} "{keys}"'


def get_option(sound: str, timeout_ms: int) -> str:
    """Play a sound file and wait for one key, from the end of the file on; a key meanwhile stops it.

    A key that is not listed would end the wait as if none had been pressed, so the letters are listed too.
    """
    return f'GET OPTION {quoted(sound)} "{KEYS}{LETTERS}" {timeout_ms}'


def wait_for_digit(timeout_ms: int) -> str:
    """Wait for one key."""
    return f"WAIT FOR DIGIT {timeout_ms}"


def get_data(timeout_ms: int, most: int) -> str:
    """Collect keys until ``#``, until there are ``most``, or until none comes for a while."""
    return f'GET DATA "" {timeout_ms} {most}'


def record_file(name: str, longest_ms: int, silence_s: int, *, beep: bool) -> str:
    """Record a WAV file until ``#``, a silence, or the longest time."""
    return f'RECORD FILE {quoted(name)} wav "#" {longest_ms}{" BEEP" if beep else ""} s={silence_s}'


def set_variable(name: str, text: str) -> str:
    """Set a variable of the channel, for the dialplan."""
    return f"SET VARIABLE {name} {quoted(text)}"


def get_variable(name: str) -> str:
    """Ask for a variable of the channel; never for one that a caller can write, such as the caller id."""
    return f"GET VARIABLE {name}"


def echo(word: str) -> str:
    """Ask for an expression without variables in it: the reply holds ``word`` itself."""
    return f"GET FULL VARIABLE {word}"
