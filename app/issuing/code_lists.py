"""Lists of codes that people hand in: a CSV, streamed, with the line number of every code.

A list is taken as a whole or not at all, and what is wrong with it is said by line, never by code.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.core.errors import RuleBroken

MOST_LINES_NAMED: Final = 20
_COLUMN: Final = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCode:
    """What stands in the code column of one line; not yet known to be digits."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedLine:
    """A line that cannot be taken, and why, in words fit for the end of a sentence."""

    line: int
    reason: str


class LinesRefused(RuleBroken):
    """Some lines of the list cannot be taken, so nothing was changed. Correct the named lines and hand it in again.

    `lines` holds the first of them, `count` how many there are in all.
    """

    def __init__(self, lines: tuple[RefusedLine, ...], *, count: int) -> None:
        self.lines = lines[:MOST_LINES_NAMED]
        self.count = count
        named = "; ".join(f"line {refused.line}: {refused.reason}" for refused in self.lines)
        more = f"; and {count - len(self.lines)} more" if count > len(self.lines) else ""
        super().__init__(
            f"{count} line(s) cannot be taken, so nothing was changed ({named}{more}). Correct them and hand the "
            "list in again."
        )


class Refusals:
    """Collects refused lines, keeping the first few and counting all."""

    __slots__ = ("_lines", "count")

    def __init__(self) -> None:
        self._lines: list[RefusedLine] = []
        self.count = 0

    def add(self, line: int, reason: str) -> None:
        """Note one line."""
        self.count += 1
        self._lines.append(RefusedLine(line=line, reason=reason))
        if len(self._lines) > 2 * MOST_LINES_NAMED:  # keep the earliest whatever order they come in
            self._lines = sorted(self._lines, key=_line)[:MOST_LINES_NAMED]

    def raise_any(self) -> None:
        """Raise LinesRefused if there is any."""
        if self.count:
            raise LinesRefused(tuple(sorted(self._lines, key=_line)), count=self.count)


def _line(refused: RefusedLine) -> int:
    return refused.line


def read_code_list(path: Path) -> Iterator[ListedCode]:
    """Yield the codes of a CSV file in UTF-8, one a line; blocking, constant memory.

    With a header that names a column `code` (a label file of ours, for one) that column is read, otherwise the
    first. Blank lines are passed over. Raises RuleBroken where the file cannot be read at all.
    """
    column = 0
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            # strict: digits behind a closing quotation mark would join those before it, a cut file would look whole
            reader = csv.reader(file, strict=True)
            first = True
            for row in reader:
                if not row:
                    continue
                if first:
                    first = False
                    names = [cell.strip().casefold() for cell in row]
                    if _COLUMN in names:
                        column = names.index(_COLUMN)
                        continue
                yield ListedCode(line=reader.line_num, text=row[column].strip() if column < len(row) else "")
    except csv.Error as error:
        raise RuleBroken(f"The list {path} is not a CSV file ({error}). Save it as CSV in UTF-8.") from error
    except OSError as error:
        raise RuleBroken(
            f"The list {path} cannot be read ({error.strerror}). Check the path and its permissions."
        ) from error


def is_digits(text: str) -> bool:
    """Tell whether the text is ASCII digits and nothing else."""
    return text.isascii() and text.isdigit()
