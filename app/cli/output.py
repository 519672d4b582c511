"""What commands print: aligned tables for people, JSON for scripts, a progress bar on a terminal.

Tables and JSON may hold what strangers wrote: what a terminal would obey is written out there, as an escape.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum

_BAR_CHARS = 30


def write_line(text: str = "") -> None:
    """Print one line of the answer."""
    sys.stdout.write(f"{text}\n")


def write_notice(text: str) -> None:
    """Print one line that is not part of the answer, so to standard error."""
    sys.stderr.write(f"{text}\n")


def write_json(value: object) -> None:
    """Print one JSON document on a line."""
    document = json.dumps(value, ensure_ascii=False, default=_plain)
    # JSON itself escapes C0 alone; the rest can only stand within strings, where each may be escaped
    sys.stdout.write(_spelt(document, lambda char: json.dumps(char)[1:-1]) + "\n")


def write_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; hanzi take two cells. Without rows only the header is printed."""
    cells = [list(header), *([visible(_text(cell)) for cell in row] for row in rows)]
    widths = [max(_cells(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        padded = (cell + " " * (width - _cells(cell)) for cell, width in zip(row, widths, strict=True))
        write_line("  ".join(padded).rstrip())


def visible(text: str) -> str:
    """Return ``text`` on one line, with what is obeyed or not seen as its escape in Python."""
    return _spelt(text, lambda char: char.encode("unicode_escape").decode())


class Progress:
    """A bar on standard error, drawn only on a terminal and only when a whole percent was gained."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = -1
        self._on_terminal = sys.stderr.isatty()

    def show(self, done: int, total: int) -> None:
        """Draw ``done`` of ``total`` units."""
        percent = 100 * done // total if total else 100
        if not self._on_terminal or percent == self._shown:
            return
        self._shown = percent
        filled = _BAR_CHARS * percent // 100
        bar = "#" * filled + "-" * (_BAR_CHARS - filled)
        sys.stderr.write(f"\r{self._what} [{bar}] {percent:3d} %")
        sys.stderr.flush()

    def close(self) -> None:
        """End the line of the bar."""
        if self._shown >= 0:
            sys.stderr.write("\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    return str(value)


def _text(cell: object) -> str:
    if cell is None or cell == "":
        return "-"
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M")
    return str(cell)


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _spelt(text: str, spell: Callable[[str], str]) -> str:
    """Spell out every control, format, unassigned or broken character and line separator; spaces of any width stay."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else spell(char) for char in text
    )
