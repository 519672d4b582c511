"""A second process on the record: an engine of its own over the same file, asked by concurrent callers.

``python -m tests.acceptance.record.second_process DATA_DIR RARELY|OFTEN CALLERS QUERIES CODE...`` prints one line a
verdict as soon as it has it: code index, ordinal, start and end in nanoseconds, id of the record, outcome.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from app.adapters.cache.memory import MemoryCache
from app.adapters.clock import SystemClock
from app.adapters.storage.sqlite import FoldLimits, open_sqlite
from app.core.engine import VerificationEngine
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import Code, Entry
from app.core.model.verification import VerificationRequest
from app.issuing.key_file import KeyFile
from app.issuing.recogniser import CodebookRecogniser
from tests.fakes.recording_journal import RecordingJournal

FOLDS = {"RARELY": FoldLimits(), "OFTEN": FoldLimits(labels=8, facts=64, slice=2)}


async def ask_all(folder: Path, fold: FoldLimits, callers: int, queries: int, codes: list[str]) -> None:
    """Ask ``queries`` times in all and print every verdict."""
    clock = SystemClock()
    journal = RecordingJournal()
    storage = await open_sqlite(folder / "yanzhen.db", fold=fold)
    engine = VerificationEngine(
        recogniser=CodebookRecogniser(KeyFile(folder / "keys.json").load),
        store=storage.verifications,
        catalogues=storage.catalogues,
        cache=MemoryCache(clock),
        clock=clock,
        journal=journal,
    )
    await engine.start()
    left = iter(range(queries))

    async def call(number: int) -> None:
        caller = Caller(kind=CallerKind.PHONE, token=number.to_bytes(16, "big"))
        for turn in left:
            place = turn * 7 % len(codes)
            started_ns = time.monotonic_ns()
            verdict = await engine.verify(
                VerificationRequest(
                    code=Code.parse(codes[place], entry=Entry.SCANNED),
                    caller=caller,
                    channel="sms",
                    received_at=clock.now(),
                ),
                deadline_ms=60_000,
            )
            ended_ns = time.monotonic_ns()
            line = (place, verdict.ordinal, started_ns, ended_ns, verdict.verification_id, verdict.outcome)
            os.write(1, f"{' '.join(map(str, line))}\n".encode())  # at once: this process may be killed

    await asyncio.gather(*(call(number) for number in range(callers)))
    await engine.close()
    await storage.close()
    assert not journal.failures, journal.failures


def _main() -> None:
    folder, fold, callers, queries, *codes = sys.argv[1:]
    asyncio.run(ask_all(Path(folder), FOLDS[fold], int(callers), int(queries), codes))


if __name__ == "__main__":
    _main()
