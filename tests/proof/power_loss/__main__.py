"""Replay one crash: `python -m tests.proof.power_loss SEED POINT TURN`, as a failure of the harness prints it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.proof.power_loss.failing_syncs import syncs_of
from tests.proof.power_loss.recovery import Tally, crash_once
from tests.proof.power_loss.workload import record_workload


def main(seed: str, point: int, turn: int) -> int:
    """Return 1 for a breach. A second crash names the first in its seed (SEED/POINT/TURN): that one is repeated."""
    if "/" in seed:
        seed, *first = seed.split("/")
        point, turn = map(int, first)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "first").mkdir()
        now, tally = asyncio.run(record_workload(folder / "first", seed, syncs=syncs_of(seed))), Tally()
        crash_once(now, point, turn, folder / "found", tally)
    print(*tally.told or ["nothing was lost, changed or corrupt"], sep="\n")  # noqa: T201 - what it is for
    return 1 if tally.told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
