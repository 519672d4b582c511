"""How much one run of the benchmark does, and where it keeps its data meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.prefill import DataFolder, new_folder, prefilled

_BASE_LABELS = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """``seconds`` a run after ``warm_seconds``, ``rounds`` of runs; ``rows`` are the records that growth compares."""

    rounds: int
    seconds: int
    warm_seconds: int
    rows: tuple[int, ...]
    csv_lines: int
    issued: tuple[int, ...]
    shared: int


@dataclass(slots=True, kw_only=True)
class Plan:
    """One run of the benchmark. ``scratch`` goes when it ends; ``units`` collects what the machine can do."""

    size: Size
    scratch: Path
    units: dict[str, str] = field(default_factory=dict)
    _folders: dict[int, DataFolder] = field(default_factory=dict)

    def folder_of(self, recorded: int) -> DataFolder:
        """Return the prefilled folder with so many recorded verifications; made once, not to be written to."""
        folder = self._folders.get(recorded)
        if folder is None:
            base = self._folders.get(0)
            if base is None:
                base = self._folders[0] = new_folder(self.scratch / "base", labels=_BASE_LABELS)
            folder = prefilled(base, self.scratch / f"recorded-{recorded}", recorded=recorded)
            self._folders[recorded] = folder
        return folder
