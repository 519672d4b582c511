"""Several processes on one record: one history, no deadlock, and the same message told the same everywhere."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from app.adapters.storage.postgresql import PostgresqlStorage
from tests.contract.store.stage import gaps
from tests.integration.postgresql.crossing import LABELS, PER_LABEL
from tests.integration.postgresql.prepared import Prepared

BATCHES = 40


async def crossing(url: str, direction: str) -> list[list[Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.integration.postgresql.crossing", url, direction, str(BATCHES)),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    told: list[list[Any]] = json.loads(output)
    return told


async def test_two_processes_that_cross_have_one_history_and_no_deadlock(
    storage: PostgresqlStorage, plain: Prepared
) -> None:
    up, down = await asyncio.gather(crossing(plain.url, "up"), crossing(plain.url, "down"))
    assert len(up) == len(down) == LABELS * PER_LABEL * BATCHES
    facts: dict[int, set[tuple[int, int]]] = {}
    messages: dict[str, int] = {}
    for serial, ordinal, fact, message in up + down:
        facts.setdefault(serial, set()).add((ordinal, fact))
        assert messages.setdefault(message, fact) == fact, "one message, one fact, whoever is asked"
    # half of the messages came to both
    assert sum(map(len, facts.values())) == len(messages) == 3 * len(up) // 2
    assert [gaps(ordinal for ordinal, _ in told) for told in facts.values()] == [[]] * LABELS
    rows = await storage._connections.rows(
        "Looking", "SELECT count(*), count(DISTINCT (serial, ordinal)) FROM verification"
    )
    assert tuple(rows[0]) == (len(messages), len(messages))
    counts = "SELECT sum(count) FROM label_history"
    assert (await storage._connections.rows("Looking", counts))[0][0] == len(messages)
    own = (
        "SELECT count(*) FROM (SELECT serial, caller, own_ordinal, row_number() OVER"
        " (PARTITION BY serial, caller ORDER BY ordinal) AS turn FROM verification WHERE caller IS NOT NULL) f"
        " WHERE own_ordinal <> turn"
    )
    assert (await storage._connections.rows("Looking", own))[0][0] == 0
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert (await storage._connections.rows("Looking", deadlocks))[0][0] == 0
