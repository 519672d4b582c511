"""How long a busy machine kept this thread from running, by the scheduler's own count, where it tells."""

from __future__ import annotations

import os
from contextlib import suppress


class RunQueue:
    """Made, asked and closed by one thread."""

    __slots__ = ("_file",)

    def __init__(self) -> None:
        self._file = -1
        with suppress(OSError):  # Linux alone has it, and not every one
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def waited_s(self) -> float:
        """Return for how many seconds so far this thread was ready and another had the core; 0 where nobody tells."""
        if self._file < 0:
            return 0.0
        try:
            return int(os.pread(self._file, 96, 0).split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0

    def close(self) -> None:
        """Let go of the file; from then on it tells nothing."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
