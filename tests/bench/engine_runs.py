"""One closed-loop run against a data folder in a process of its own; prints JSON.

`python -m tests.bench.engine_runs group|single DATA_DIR CODES_FILE CLIENTS SECONDS`: the engine with its group commit,
or the correct naive service: a query is one upsert and one fact in a transaction of its own, under a lock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Final

import aiosqlite
import uvloop

from app.adapters.cache.memory import MemoryCache
from app.adapters.clock import SystemClock
from app.adapters.storage.sqlite import open_sqlite
from app.adapters.storage.sqlite.database import open_connection
from app.core.engine import EngineLimits, VerificationEngine
from app.core.model.caller import Caller, CallerKind
from app.core.model.code import PRESET_LENGTHS, Code, Entry, read_codes
from app.core.model.verdict import Outcome
from app.core.model.verification import VerificationRequest
from app.core.ports.labels import Recognised
from app.core.ports.verifications import CatalogueStore, VerificationStore
from app.issuing.key_file import KeyFile
from app.issuing.recogniser import CodebookRecogniser
from tests.fakes.recording_journal import RecordingJournal

_CALLER: Final = Caller(kind=CallerKind.WEB)
_RIGHT: Final = {Outcome.FIRST, Outcome.REPEAT, Outcome.OVER_LIMIT}
_UPSERT: Final = (
    "INSERT INTO label_history VALUES (?, 1, ?, 'api', NULL, NULL, 0) ON CONFLICT (serial) DO UPDATE"
    " SET count = count + 1 RETURNING count, first_at, first_channel"
)
_FACT: Final = (
    "INSERT INTO verification (at, serial, ordinal, own_ordinal, outcome, channel)"
    " VALUES (?, ?, ?, 0, ?, 'api')"
)
Ask = Callable[[Code], Awaitable[None]]


@asynccontextmanager
async def group(folder: Path) -> AsyncIterator[Ask]:
    """Yield a query to the real engine, recogniser and store."""
    storage = await open_sqlite(folder / "yanzhen.db")
    try:
        async with engine_on(folder, storage.verifications, storage.catalogues) as ask:
            yield ask
    finally:
        await storage.close()


@asynccontextmanager
async def engine_on(
    folder: Path,
    store: VerificationStore,
    catalogues: CatalogueStore,
    limits: EngineLimits | None = None,
) -> AsyncIterator[Ask]:
    """Yield a query to the real engine and recogniser on a store."""
    clock = SystemClock()
    recogniser = CodebookRecogniser(KeyFile(folder / "keys.json").load)
    recogniser.tabulate()  # as the service does beside its start
    engine = VerificationEngine(
        recogniser=recogniser,
        store=store,
        catalogues=catalogues,
        cache=MemoryCache(clock),
        clock=clock,
        journal=RecordingJournal(),
        limits=limits,
    )
    await engine.start()

    async def ask(code: Code) -> None:
        request = VerificationRequest(code=code, caller=_CALLER, channel="api", received_at=clock.now())
        verdict = await engine.verify(request)
        if verdict.outcome not in _RIGHT:
            raise RuntimeError(f"a recorded label answered {verdict}")

    try:
        yield ask
    finally:
        await engine.close()


@asynccontextmanager
async def single(folder: Path) -> AsyncIterator[Ask]:
    """Yield a query that is recorded in a transaction of its own; the lock keeps two from sharing one."""
    recogniser = CodebookRecogniser(KeyFile(folder / "keys.json").load)
    storage = await open_sqlite(folder / "yanzhen.db")
    catalogue = await storage.catalogues.load()
    await storage.close()
    connection = await aiosqlite.Connection(lambda: open_connection(folder / "yanzhen.db"), 64)
    lock = asyncio.Lock()

    async def ask(code: Code) -> None:
        recognition = recogniser.recognise(code, catalogue)
        if not isinstance(recognition, Recognised):
            raise TypeError("a recorded label was not recognised")
        at = int(datetime.now(UTC).timestamp() * 1e6)
        async with lock:
            await connection.execute("BEGIN IMMEDIATE")
            cursor = await connection.execute(_UPSERT, (recognition.serial, at))
            row = await cursor.fetchone()
            assert row is not None
            outcome = "first" if row[0] == 1 else "repeat"
            await connection.execute(_FACT, (at, recognition.serial, row[0], outcome))
            await connection.execute("COMMIT")

    try:
        yield ask
    finally:
        await connection.close()


async def run(
    opening: AbstractAsyncContextManager[Ask], codes: Path, clients: int, seconds: float
) -> dict[str, float]:
    """Let ``clients`` ask one after the other until the time is up, after half a second of warming."""
    parsed = [
        read_codes(digits, entry=Entry.TYPED, lengths=PRESET_LENGTHS).code
        for digits in codes.read_text().split()
    ]
    queue = cycle(parsed)
    latencies: list[float] = []
    async with opening as ask:
        started = time.perf_counter() + 0.5
        cpu_before, ends = time.process_time(), started + seconds

        async def client() -> None:
            while (asked := time.perf_counter()) < ends:
                await ask(next(queue))
                if asked >= started:
                    latencies.append(time.perf_counter() - asked)

        await asyncio.gather(*(client() for _ in range(clients)))
        took = time.perf_counter() - started
        cpu = (time.process_time() - cpu_before) * seconds / (seconds + 0.5)
    latencies.sort()
    return {
        "rate": len(latencies) / took,
        "cpu_us": cpu / len(latencies) * 1e6,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
    }


if __name__ == "__main__":
    _kind, _folder, _codes, _clients, _seconds = sys.argv[1:]
    _opening = {"group": group, "single": single}[_kind](Path(_folder))
    print(json.dumps(uvloop.run(run(_opening, Path(_codes), int(_clients), float(_seconds)))))
