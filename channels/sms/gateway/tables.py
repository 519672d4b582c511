"""Reading a table of a TOML file by hand: every problem is noted with its field, and the reading goes on."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping


class Table:
    """One table of a file. What is wrong with it goes to ``problems``, as in ``time.format: must be a text``."""

    def __init__(self, content: Mapping[str, object], problems: list[str], path: str = "") -> None:
        self._content = content
        self._problems = problems
        self._path = path
        self._known: set[str] = set()

    def problem(self, name: str, what: str) -> None:
        """Note that ``name`` is wrong; "" stands for the table itself."""
        self._problems.append(f"{f'{self._path}{name}'.removesuffix('.')}: {what}")

    def names(self) -> tuple[str, ...]:
        """Return every name that stands in the table, and take them all as known."""
        self._known.update(self._content)
        return tuple(self._content)

    def find(self, name: str) -> object | None:
        """Return what stands under ``name``, or None."""
        self._known.add(name)
        return self._content.get(name)

    def text(
        self, name: str, default: str | None = None, *, pattern: str = r"(?s).+", meant: str = ""
    ) -> str:
        """Return a text that fits ``pattern``; without ``default`` it must be there."""
        found = self.find(name)
        if found is None:
            if default is None:
                self.problem(name, f"must be there{f'; {meant}' if meant else ''}")
            return default or ""
        if not isinstance(found, str) or not re.fullmatch(pattern, found):
            self.problem(name, f"must be {meant or 'a text'}")
            return ""
        return found

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        """Return one of ``choices``."""
        allowed = "|".join(re.escape(choice) for choice in choices)
        return self.text(name, default, pattern=allowed, meant=f"one of {', '.join(choices)}")

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``."""
        found = self.find(name)
        if found is None:
            return default
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            self.problem(name, f"must be a whole number from {low} to {high}")
            return default
        return found

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        found = self.find(name)
        if found is None:
            return default
        if not isinstance(found, bool):
            self.problem(name, "must be true or false")
            return default
        return found

    def entries(self, name: str) -> tuple[object, ...]:
        """Return the members of an array; () where there is none."""
        found = self.find(name)
        if found is None:
            return ()
        if not isinstance(found, list):
            self.problem(name, "must be an array")
            return ()
        return tuple(found)

    def table(self, name: str, *, needed: bool = False) -> Table | None:
        """Return the table under ``name``, or None; that a needed one is missing is a problem."""
        found = self.find(name)
        if found is None and not needed:
            return None
        if not isinstance(found, Mapping):
            self.problem(name, "must be there as a table" if found is None else "must be a table")
            return None
        return Table(found, self._problems, f"{self._path}{name}.")

    def close(self) -> None:
        """Note every name that nobody asked for, most likely misspelt."""
        for name in self._content:
            if name not in self._known:
                self.problem(name, "there is no such field; see channels/sms/gateway/README.md")
