"""How long this machine kept a process waiting for a core, by the scheduler's own count.

A deadline of the product is held against the time without it: on a busy machine a test stays strict and does not fail.
"""

from __future__ import annotations

from pathlib import Path


def run_delay_s(pid: int | None = None) -> float:
    """Return the seconds for which the main thread of ``pid``, without one this thread, was ready and not let run."""
    path = Path("/proc/thread-self/schedstat" if pid is None else f"/proc/{pid}/schedstat")
    try:
        return int(path.read_text(encoding="ascii").split()[1]) / 1e9
    except OSError:
        return 0.0  # a system that does not tell: deadlines hold as they are
