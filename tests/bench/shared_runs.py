"""One closed-loop run against a PostgreSQL database in a process of its own; prints JSON.

`python -m tests.bench.shared_runs group|single DATA_DIR DATABASE_URL CODES_FILE CLIENTS SECONDS`: the engine with its
group commit, or a statement for each query: one upsert and one fact in one round trip, on sixteen connections.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop

from app.adapters.storage.postgresql import open_postgresql
from app.core.engine import ANSWERS_BESIDE_A_SERVER, EngineLimits
from app.core.model.code import Code
from app.core.ports.labels import Recognised
from app.issuing.key_file import KeyFile
from app.issuing.recogniser import CodebookRecogniser
from tests.bench.engine_runs import Ask, engine_on, run

_CONNECTIONS: Final = 16
_RECORD: Final = (
    "WITH counted AS (INSERT INTO label_history AS h VALUES ($1, 1, $2, 'api', NULL, NULL, 0)"
    " ON CONFLICT (serial) DO UPDATE SET count = h.count + 1 RETURNING count)"
    " INSERT INTO verification (id, at, serial, ordinal, own_ordinal, outcome, channel, policy)"
    " SELECT nextval('verification_number'), $2, $1, count, 0,"
    " CASE count WHEN 1 THEN 'first' ELSE 'repeat' END, 'api', 0 FROM counted RETURNING ordinal"
)


@asynccontextmanager
async def group(folder: Path, url: str) -> AsyncIterator[Ask]:
    """Yield a query to the real engine, recogniser and store."""
    storage = await open_postgresql(url)
    limits = EngineLimits(answers=ANSWERS_BESIDE_A_SERVER)  # as the service has it on such a store
    try:
        async with engine_on(folder, storage.verifications, storage.catalogues, limits) as ask:
            yield ask
    finally:
        await storage.close()


@asynccontextmanager
async def single(folder: Path, url: str) -> AsyncIterator[Ask]:
    """Yield a query that is recorded by a statement of its own."""
    recogniser = CodebookRecogniser(KeyFile(folder / "keys.json").load)
    recogniser.tabulate()
    storage = await open_postgresql(url)
    catalogue = await storage.catalogues.load()
    await storage.close()
    pool: Any = await asyncpg.create_pool(url, min_size=_CONNECTIONS, max_size=_CONNECTIONS)

    async def ask(code: Code) -> None:
        recognition = recogniser.recognise(code, catalogue)
        if not isinstance(recognition, Recognised):
            raise TypeError("a recorded label was not recognised")
        at = int(datetime.now(UTC).timestamp() * 1e6)
        if await pool.fetchval(_RECORD, recognition.serial, at) < 2:
            raise RuntimeError("a recorded label was the first")

    try:
        yield ask
    finally:
        await pool.close()


if __name__ == "__main__":
    _kind, _folder, _url, _codes, _clients, _seconds = sys.argv[1:]
    _opening = {"group": group, "single": single}[_kind](Path(_folder), _url)
    print(json.dumps(uvloop.run(run(_opening, Path(_codes), int(_clients), float(_seconds)))))
