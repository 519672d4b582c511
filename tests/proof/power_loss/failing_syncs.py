"""An evening in which syncs fail, each once, and the next one is said to work, as Linux says it.

What was written either waits for the next sync, or is dropped (``Dropped``): still there for whoever reads, and never
written by a later sync. A failed sync of the folder leaves its names to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final, Literal

from tests.proof.files.vfs import Call, Dropped, WatchedFiles, io_error

Target = Literal["log", "folder", "database"]

FAILING: Final = "failing syncs"  # how the seeds of such evenings begin
_SHARES: Final[Mapping[Target, float]] = {"log": 0.08, "folder": 0.3, "database": 0.3}
_DROPPED: Final = 0.6


class FailingSyncs:
    """Draws from ``seed`` which syncs fail while ``on``, of each target the share given.

    ``unnoticed`` is a planted fault: all is dropped, and whoever asked for the sync hears nothing of it.
    """

    def __init__(
        self, seed: str, shares: Mapping[Target, float] = _SHARES, *, unnoticed: bool = False
    ) -> None:
        self.on = False
        self._luck = Random(f"{seed}/syncs")
        self._shares = shares
        self._unnoticed = unnoticed

    def meet(self, files: WatchedFiles, failed: list[int], call: Call) -> None:
        """Let a call of SQLite, or of the storage on the folder, fail if it is its turn; add to ``failed`` when."""
        if not self.on or call.kind not in ("sync", "folder"):
            return
        if self._luck.random() >= self._shares.get(_target(call), 0.0):
            return
        failed.append(len(files.operations))
        if call.kind == "sync" and (self._unnoticed or self._luck.random() < _DROPPED):
            files.operations.append(Dropped(files.number(call.file)))
        if not self._unnoticed:
            raise io_error(call.kind)


def syncs_of(seed: str) -> FailingSyncs | None:
    """Return what fails in the evening of a seed."""
    return FailingSyncs(seed) if seed.startswith(FAILING) else None


def _target(call: Call) -> Target:
    if call.kind == "folder":
        return "folder"
    return "log" if call.file.endswith("-wal") else "database"
