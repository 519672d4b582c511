"""Recorded conversations of a real Asterisk 22: what it sent, reply by reply, and what the caller did.

``> +MS line`` is from Asterisk, ``< +MS line`` from the server that was recorded, ``b`` marks a Python bytes literal,
a leading digit the connection; ``#`` lines tell what happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "conversations"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
LINE = re.compile(r"(\d?)([<>])([ b])\+(\d{6})(?: (.*))?", re.DOTALL)
PRESSES = re.compile(r"# \+\d{6} caller( \d)?: presses (\S+) ")


@dataclass(slots=True)
class Connection:
    """One connection: the block as it came, then what followed each command, HANGUP lines included."""

    block: bytes = b""
    answers: list[tuple[bytes, bytes]] = field(default_factory=list)
    presses: list[str] = field(default_factory=list)

    @property
    def replies(self) -> list[bytes]:
        return [reply for _, reply in self.answers if reply]

    def replies_to(self, command: str) -> list[bytes]:
        return [reply for asked, reply in self.answers if asked.startswith(command.encode()) and reply]


def read_lines(name: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield connection, side (``#`` for what happened) and octets."""
    for raw in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").split("\n"):
        if raw.startswith("#"):
            yield "", "#", raw.encode()
        elif raw:
            connection, side, kind, _, text = LINE.fullmatch(raw).groups()
            # the fixtures are ours; the expressions are only bytes literals, "+" and "* number"
            data = eval(text, {"__builtins__": {}}) if kind == "b" else (text or "").encode() + b"\n"
            yield connection, side, data


def connections(name: str) -> list[Connection]:
    """Return the connections of one file, in the order in which Asterisk opened them."""
    opened: list[Connection] = []
    latest: dict[str, Connection] = {}
    for number, side, data in read_lines(name):
        if side == "#":
            pressed = PRESSES.match(data.decode())
            if pressed and latest:
                latest.get((pressed[1] or "").strip(), opened[-1]).presses.append(pressed[2])
        elif data == b"agi_network: yes\n":
            latest[number] = Connection(block=data)
            opened.append(latest[number])
        elif side == ">" and not _is_whole(latest[number].block):
            latest[number].block += data
        elif side == "<":
            latest[number].answers.append((data, b""))
        elif latest[number].answers:
            command, reply = latest[number].answers[-1]
            latest[number].answers[-1] = command, reply + data
    return opened


def _is_whole(block: bytes) -> bool:
    """Return whether the empty line behind the last line of Asterisk's own has come; a forged one may stand before."""
    return b"\nagi_threadid:" in block and block.endswith(b"\n\n")


def block_of(name: str, number: int = 0) -> bytes:
    return connections(name)[number].block
