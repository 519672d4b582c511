"""A log that keeps its lines."""

from __future__ import annotations


class RecordingLog:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def _note(self, level: str, event: str, facts: dict[str, object]) -> None:
        self.lines.append((level, event, facts))

    def debug(self, event: str, **facts: object) -> None:
        self._note("debug", event, facts)

    def info(self, event: str, **facts: object) -> None:
        self._note("info", event, facts)

    def warning(self, event: str, **facts: object) -> None:
        self._note("warning", event, facts)

    def error(self, event: str, **facts: object) -> None:
        self._note("error", event, facts)

    @property
    def events(self) -> list[str]:
        return [event for _, event, _ in self.lines]
