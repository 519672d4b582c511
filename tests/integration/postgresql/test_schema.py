"""The schema: both ways with data, months of the record, and rules that are the same in SQL."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.postgresql import (
    PostgresqlStorage,
    downgrade_postgresql,
    open_postgresql,
    spread_postgresql,
    upgrade_postgresql,
)
from app.adapters.storage.postgresql.migrations import migrations
from app.adapters.storage.rows import reasons_to_text
from app.core.errors import SchemaOutdated, StoreUnavailable
from app.core.model.label import Label, LabelState, Thresholds
from app.core.model.verdict import First, Verdict, VerificationId
from app.core.model.verification import History
from app.core.rules import decide
from tests.contract.outbox.suite import at, owe_text
from tests.contract.recall_watches.suite import wants
from tests.contract.store.sqlite_stage import issue_batches
from tests.contract.store.stage import KNOWN, OTHER, Asking
from tests.contract.store.suite import asking
from tests.fakes.clock import START
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.prepared import Prepared, create
from tests.integration.postgresql.stage import PostgresqlStage

__all__ = ["asking"]
SEALING = AesGcmSealing({1: b"k" * 32})
NEWEST = migrations()[-1].number


@pytest.fixture
async def stage(storage: PostgresqlStorage, plain: Prepared) -> PostgresqlStage:
    return PostgresqlStage(plain.url, storage)


async def fetch(url: str, sql: str, *values: object) -> list[Any]:
    connection: Any = await asyncpg.connect(url)
    try:
        rows: list[Any] = await connection.fetch(sql, *values)
        return rows
    finally:
        await connection.close()


async def fill(storage: PostgresqlStorage, asking: Asking) -> Verdict:
    """Put something into every table that callers fill; return what the first of them was told."""
    first, *_ = [await asking.ask(1, token=token, message=token) for token in (KNOWN, OTHER, KNOWN)]
    assert first.verification_id is not None
    await asking.ask(None, token=OTHER, message=b"of-no-label-0001")
    assert await owe_text(storage.outbox(SEALING))
    await storage.reports(SEALING).keep(
        channel="wechat",
        account="",
        message_key=KNOWN,
        words="假的",
        verification_id=first.verification_id,
        at=START,
    )
    await storage.calls.open(key=KNOWN, account="twilio", at=START)
    watched = await asking.ask(2, token=KNOWN, channel="wechat")
    assert await wants(storage.recall_watches(SEALING), watched)
    return first


@pytest.mark.parametrize("ways", [0, 4], ids=["plain", "in parts"])
async def test_the_schema_goes_forth_and_back_with_what_is_in_it(server: PostgresServer, ways: int) -> None:
    url = server.socket_url(await create(server))
    assert len(await upgrade_postgresql(url)) == NEWEST
    if ways:
        await spread_postgresql(url, ways=ways)
    storage = await open_postgresql(url)
    await issue_batches(storage.registry)
    asking = Asking(PostgresqlStage(url, storage))
    told = await fill(storage, asking)
    await storage.close()
    tables = "SELECT * FROM {} ORDER BY 1, 2"
    for name in ("reply", "report", "call", "recall_watch"):
        assert await fetch(url, tables.format(name)), "a table without rows proves nothing"
    kept = (
        "brand",
        "batch",
        "state_event",
        "verification",
        "label_history",
        "label_caller",
        "caller",
        "message",
    )
    before = [await fetch(url, tables.format(name)) for name in kept]
    assert all(before)
    for number in range(NEWEST - 1, 0, -1):
        (undone,) = await downgrade_postgresql(url, to=number)
        assert undone.startswith(f"{number + 1:04d}")
        assert [await fetch(url, tables.format(name)) for name in kept] == before
        with pytest.raises(SchemaOutdated, match=f"{number + 1:04d}"):
            await open_postgresql(url)
    for number in range(2, NEWEST + 1):
        (applied,) = await upgrade_postgresql(url, to=number)
        assert applied.startswith(f"{number:04d}")
        assert [await fetch(url, tables.format(name)) for name in kept] == before
    assert await upgrade_postgresql(url) == ()
    storage = await open_postgresql(url)
    asking = Asking(PostgresqlStage(url, storage), at=asking.at)
    assert await asking.ask(1, token=KNOWN, message=KNOWN) == told
    assert (await asking.ask(1)).ordinal == 3
    assert not await storage.outbox(SEALING).take(at(1))
    await storage.close()
    assert len(await downgrade_postgresql(url, to=0)) == NEWEST
    left = await fetch(
        url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
    )
    assert [row[0] for row in left] == ["migration"]
    functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    assert (await fetch(url, functions))[0][0] == 0


async def test_a_schema_of_another_release_is_refused(server: PostgresServer) -> None:
    url = server.socket_url(await create(server))
    with pytest.raises(SchemaOutdated, match="0001"):
        await open_postgresql(url)
    applied = await asyncio.gather(upgrade_postgresql(url), upgrade_postgresql(url))
    assert sorted(map(len, applied)) == [0, NEWEST]
    await fetch(url, "UPDATE migration SET sha256 = 'x' WHERE number = 1")
    with pytest.raises(SchemaOutdated, match="changed"):
        await open_postgresql(url)
    await fetch(url, "DELETE FROM migration WHERE number = 1")
    await fetch(url, "INSERT INTO migration VALUES (9999, 'later', 'x')")
    with pytest.raises(SchemaOutdated, match="newer program"):
        await open_postgresql(url)


async def test_a_record_is_spread_with_what_is_in_it(server: PostgresServer) -> None:
    url = server.socket_url(await create(server))
    await upgrade_postgresql(url)
    storage = await open_postgresql(url)
    await issue_batches(storage.registry)
    asking = Asking(PostgresqlStage(url, storage))
    for offset, token in itertools.product(range(5), (KNOWN, OTHER)):
        await asking.ask(offset, token=token, message=bytes([offset]) + token[1:])
    await storage.close()
    await spread_postgresql(url, ways=4)
    storage = await open_postgresql(url)
    asking = Asking(PostgresqlStage(url, storage), at=asking.at)
    for offset in range(5):
        again = await asking.ask(offset, token=OTHER)
        assert (again.ordinal, again.own_first_at is not None) == (3, True)
        assert (await asking.ask(offset, token=OTHER, message=bytes([offset]) + OTHER[1:])).ordinal == 2
    await storage.close()
    assert len(await fetch(url, "SELECT tableoid FROM label_history GROUP BY 1")) > 1
    assert len(await downgrade_postgresql(url, to=0)) == NEWEST


async def test_a_fact_of_no_month_moves_into_its_month_once_that_is_made(
    stage: PostgresqlStage, plain: Prepared, asking: Asking
) -> None:
    where = "SELECT tableoid::regclass::text FROM verification ORDER BY id"
    asking.at = datetime(2031, 12, 31, 23, 59, 58, tzinfo=UTC)
    told = [await asking.ask(1, token=KNOWN), await asking.ask(1, token=KNOWN)]
    assert [row[0] for row in await fetch(plain.url, where)] == ["verification_other"] * 2
    other = await stage.other()
    moment = asking.at - timedelta(days=20)
    await asyncio.gather(stage.store.forget(moment), other.store.forget(moment))
    await other.close()
    assert [row[0] for row in await fetch(plain.url, where)] == [
        "verification_2031_12",
        "verification_2032_01",
    ]
    catalogue = await stage.catalogues.load()
    for verdict in told:
        assert verdict.verification_id is not None
        record = await stage.store.find_record(verdict.verification_id, KNOWN, catalogue)
        assert record is not None
        assert (record.ordinal, record.first) == (verdict.ordinal, verdict.first)
    assert (await asking.ask(1)).ordinal == 3


async def test_the_months_ahead_are_there_from_the_beginning(plain: Prepared) -> None:
    # as of an hour ago, because a month may have ended since the database was made
    (row,) = await fetch(
        plain.url,
        "SELECT count(*) FROM generate_series(0, 3) AS ahead WHERE to_regclass("
        " 'verification_' || to_char((now() AT TIME ZONE 'UTC') - interval '1 hour'"
        " + make_interval(months => ahead), 'YYYY_MM')) IS NULL",
    )
    assert row[0] == 0


async def test_the_counts_say_the_same_in_sql(stage: PostgresqlStage, plain: Prepared) -> None:
    """Every small history, every rule up to 4 and 6, around the moment of ten minutes."""
    batch = (await stage.catalogues.load()).batches[0]
    pairs = [(genuine, warn) for genuine in range(1, 5) for warn in range(genuine, 7)]
    moments = (-5, 599_999_999, 600_000_000, 600_000_001)
    cases = []
    said = []
    for genuine, warn in pairs:
        product = replace(batch.product, thresholds=Thresholds(genuine=genuine, warn=warn))
        label = Label(
            serial=batch.first_serial, batch=replace(batch, product=product), state=LabelState.ACTIVE
        )
        for ordinal, own, mine, since in itertools.product(range(1, 9), range(9), (True, False), moments):
            if own > ordinal:
                continue
            decision = decide(
                label=label,
                history=History(
                    ordinal=ordinal, own_ordinal=own, first=First(at=START, channel="web", own=mine)
                ),
                recorded_at=START + timedelta(microseconds=since),
                verification_id=VerificationId(1),
            )
            cases.append((ordinal, own, mine, since, genuine, warn))
            said.append(" ".join(filter(None, (decision.outcome, reasons_to_text(decision.reasons)))))
    rows = await fetch(
        plain.url,
        "SELECT count_outcomes(c.ordinal, c.own, c.mine, c.since, c.genuine, c.warn) FROM"
        " unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::bigint[], $5::bigint[], $6::bigint[])"
        " WITH ORDINALITY AS c (ordinal, own, mine, since, genuine, warn, place) ORDER BY c.place",
        *map(list, zip(*cases, strict=True)),
    )
    assert [row[0] for row in rows] == said
    assert len(set(said)) == 8


async def test_rules_that_disagree_with_the_database_announce_nothing(
    stage: PostgresqlStage, plain: Prepared, asking: Asking
) -> None:
    ((right,),) = await fetch(plain.url, "SELECT pg_get_functiondef('count_outcomes'::regproc)")
    await fetch(plain.url, right.replace("THEN 'first'", "THEN 'repeat'"))
    try:
        with pytest.raises(StoreUnavailable, match="repeat where the rules say first"):
            await asking.ask(1)
    finally:
        await fetch(plain.url, right)


async def test_every_hot_look_up_is_by_index(plain: Prepared) -> None:
    connection: Any = await asyncpg.connect(plain.url)
    try:
        await connection.execute("SET enable_seqscan = off")
        for sql, index in (
            ("SELECT * FROM told WHERE id = 7", "verification_other_id_idx"),
            (
                "SELECT id FROM verification WHERE channel = 'wechat' AND caller = 7 ORDER BY id DESC LIMIT 20",
                "verification_other_caller_id_idx",
            ),
            ("SELECT * FROM message WHERE key = ANY (ARRAY['a'::bytea])", "message_pkey"),
            ("SELECT id FROM reply WHERE state IN ('waiting', 'sending') AND due_at <= 7", "reply_due"),
        ):
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {sql}"))
            assert index in plan
            assert "Seq Scan" not in plan
    finally:
        await connection.close()
