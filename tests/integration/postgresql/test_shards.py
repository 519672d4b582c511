"""In a record of 64 parts each hot statement touches one part for each of its keys, as the server itself counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final

import asyncpg
import pytest

from app.adapters.clock import SystemClock
from app.adapters.storage.postgresql.batches import ANSWERS, RECORD, Batch
from app.core.model.verification import Draft
from tests.contract.store.stage import KNOWN, OTHER, THIRD, Asking
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage

WAYS: Final = 64
SPREAD: Final = ("label_history", "label_caller", "message", "caller", "verification")
# what this session did so far to each part, its indexes included: rows and entries read, rows written
_DONE: Final = """
SELECT p.relname, pg_stat_get_xact_numscans(p.oid) + pg_stat_get_xact_tuples_inserted(p.oid)
    + pg_stat_get_xact_tuples_updated(p.oid) + pg_stat_get_xact_tuples_deleted(p.oid)
    + coalesce(sum(pg_stat_get_xact_numscans(i.indexrelid)), 0)
FROM pg_class AS p
LEFT JOIN pg_index AS i ON i.indrelid = p.oid
WHERE p.relkind = 'r' AND p.relispartition
GROUP BY p.oid, p.relname
"""
_PARTS_OF: Final = (
    "SELECT count(DISTINCT n) FROM unnest($2::{type}[]) AS k (key), generate_series(0, $3 - 1) AS n"
    " WHERE satisfies_hash_partition($1::text::regclass, $3, n, k.key)"
)
Touched = dict[str, int]


@pytest.fixture
async def stage(sharded: Prepared) -> AsyncIterator[PostgresqlStage]:
    await sharded.empty()
    stage = await PostgresqlStage.open(sharded.address)
    yield stage
    await stage.close()


@pytest.fixture
def asking(stage: PostgresqlStage) -> Asking:
    """Asks in a month that is made, the present one."""
    return Asking(stage, at=SystemClock().now().replace(day=15))


@pytest.fixture
async def connection(sharded: Prepared) -> AsyncIterator[Any]:
    """A connection whose transactions leave nothing."""
    made: Any = await asyncpg.connect(sharded.address)
    yield made
    await made.close()


async def touched(connection: Any, work: Callable[[], Awaitable[object]]) -> Touched:
    """Return how many parts of each table ``work`` touches, which is rolled back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        before = dict(await connection.fetch(_DONE))
        await work()
        parts = [part for part, done in await connection.fetch(_DONE) if done > before[part]]
    finally:
        await transaction.rollback()
    return {table: sum(part.startswith(f"{table}_") for part in parts) for table in SPREAD}


async def recording(connection: Any, stage: PostgresqlStage, drafts: Sequence[Draft]) -> Touched:
    values = Batch.of(drafts).values(await stage.catalogues.load())
    return await touched(connection, lambda: connection.fetch(RECORD, *values))


async def parts_of(connection: Any, table: str, keys: Sequence[object]) -> int:
    """Return in how many parts the keys lie."""
    sql = _PARTS_OF.format(type="bigint" if isinstance(keys[0], int) else "bytea")
    parts: int = await connection.fetchval(sql, table, list(keys), WAYS)
    return parts


async def test_a_query_touches_one_part_of_each_table(
    connection: Any, stage: PostgresqlStage, asking: Asking
) -> None:
    first = await asking.draft(1, token=KNOWN, message=b"message-of-known")
    once = dict.fromkeys(SPREAD, 1)
    assert await recording(connection, stage, [first]) == once | {"label_caller": 0}
    await stage.store.record([first], await stage.catalogues.load())
    second = await asking.draft(1, token=OTHER, message=b"message-of-other")
    assert await recording(connection, stage, [second]) == once
    again = await asking.draft(1, token=KNOWN, message=b"message-once-more")
    assert await recording(connection, stage, [again]) == once | {"label_caller": 0}


async def test_a_retry_touches_the_parts_of_its_message_and_its_label(
    connection: Any, stage: PostgresqlStage, asking: Asking
) -> None:
    for token in (KNOWN, OTHER):
        draft = await asking.draft(1, token=token, message=b"message-of-" + token[-2:])
        await stage.store.record([draft], await stage.catalogues.load())
    once = dict.fromkeys(SPREAD, 1)
    keys = [b"message-of-" + OTHER[-2:]]
    assert await touched(connection, lambda: connection.fetch(ANSWERS, keys)) == once | {"caller": 0}
    retried = await asking.draft(1, token=OTHER, message=keys[0])
    assert await recording(connection, stage, [retried]) == once


async def test_a_further_id_of_a_known_message_touches_one_part_more(
    connection: Any, stage: PostgresqlStage, asking: Asking
) -> None:
    draft = await asking.draft(1, token=KNOWN, message=b"the-first-id")
    await stage.store.record([draft], await stage.catalogues.load())
    known = await asking.draft(1, token=KNOWN, message=b"another-id", alias=b"the-first-id")
    keys = [b"another-id", b"the-first-id"]
    told = await recording(connection, stage, [known])
    assert told["message"] == await parts_of(connection, "message", keys) == 2
    assert told["verification"] == told["label_history"] == 1


async def test_a_batch_touches_the_parts_of_its_keys_and_no_other(
    connection: Any, stage: PostgresqlStage, asking: Asking
) -> None:
    drafts = [
        await asking.draft(offset, token=bytes([offset]) * 16, message=b"message-%08d" % offset)
        for offset in range(20)
    ]
    serials = [draft.label.serial for draft in drafts if draft.label is not None]
    wanted = {
        "label_history": await parts_of(connection, "label_history", serials),
        "verification": await parts_of(connection, "label_history", serials),
        "message": await parts_of(connection, "message", [draft.message_key for draft in drafts]),
        "caller": await parts_of(connection, "caller", [draft.caller.token for draft in drafts]),
    }
    assert await recording(connection, stage, drafts) == wanted | {"label_caller": 0}
    assert all(8 < parts < 20 for parts in wanted.values()), "keys spread"


async def test_a_code_of_no_label_touches_one_part_of_facts(
    connection: Any, stage: PostgresqlStage, asking: Asking
) -> None:
    told = await recording(connection, stage, [await asking.draft(None, token=THIRD, message=b"message")])
    assert told == {"message": 1, "verification": 1, "caller": 1, "label_history": 0, "label_caller": 0}


async def test_a_query_of_nobody_known_touches_its_label_and_its_fact(
    connection: Any, stage: PostgresqlStage, asking: Asking
) -> None:
    told = await recording(connection, stage, [await asking.draft(1)])
    assert told == {"label_history": 1, "verification": 1, "label_caller": 0, "message": 0, "caller": 0}


async def test_a_statement_that_asks_every_part_is_seen(
    connection: Any, stage: PostgresqlStage, asking: Asking
) -> None:
    await asking.ask(1, token=KNOWN)
    everywhere = "SELECT reference FROM caller WHERE token = ANY ($1)"
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    assert (await touched(connection, lambda: connection.fetch(everywhere, [KNOWN])))["caller"] == WAYS


async def test_every_unique_key_begins_with_what_its_table_is_spread_by(connection: Any) -> None:
    rows = await connection.fetch(
        "SELECT p.partrelid::regclass::text, p.partattrs[0], i.indkey[0], c.relname FROM pg_partitioned_table AS p"
        " JOIN pg_index AS i ON i.indrelid = p.partrelid JOIN pg_class AS c ON c.oid = i.indexrelid"
        " WHERE i.indisunique AND NOT (SELECT relispartition FROM pg_class WHERE oid = p.partrelid)"
    )
    assert {row[0] for row in rows} == set(SPREAD) - {"verification"}
    assert all(row[1] == row[2] for row in rows)
    months = await connection.fetch(
        "SELECT count(*) FROM pg_inherits AS part JOIN pg_inherits AS month ON month.inhrelid = part.inhparent"
        " WHERE month.inhparent = 'verification'::regclass GROUP BY month.inhrelid"
    )
    assert len(months) >= 4
    assert {row[0] for row in months} == {WAYS}
