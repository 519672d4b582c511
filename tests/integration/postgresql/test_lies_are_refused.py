"""A running service on PostgreSQL: lies and edited rows are refused and told of, honest trouble is not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from app.core.model.label import LabelState
from app.core.model.verdict import Outcome, Verdict
from tests.contract.store.lies import LIES, Lying
from tests.contract.store.sqlite_stage import order_of
from tests.contract.store.stage import gaps
from tests.contract.store.watched import Watched, request
from tests.integration.postgresql.prepared import Prepared
from tests.integration.postgresql.stage import PostgresqlStage

LABEL = 20 * 10**15 + 1
_END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'yanzhen'"
    " AND datname = current_database()"
)


@pytest.fixture
async def stage(plain: Prepared) -> AsyncIterator[PostgresqlStage]:
    await plain.empty()
    stage = await PostgresqlStage.open(plain.url)
    yield stage
    await stage.close()


@pytest.fixture
async def operator(plain: Prepared) -> AsyncIterator[Any]:
    connection: Any = await asyncpg.connect(plain.socket_url)
    yield connection
    await connection.close()


def refused(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.UNAVAILABLE


@pytest.mark.parametrize("message", [None, "m"])
@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_refused_and_told_of(
    stage: PostgresqlStage, lie: type[Lying], message: str | None
) -> None:
    store = lie(stage.store)
    watched = await Watched.over(stage, store)
    assert [(await watched.ask(1)).ordinal for _ in range(3)] == [1, 2, 3]
    connection = stage.storage._recorder._connection
    store.lying = True
    assert refused(await watched.ask(1, message=message))
    assert watched.alarms == [LIES[lie]]
    store.lying = False
    assert (await watched.ask(1)).ordinal == 5
    assert stage.storage._recorder._connection is not connection, "what lied is not asked again"
    await watched.engine.close()


@pytest.mark.parametrize("message", [None, "m"])
@pytest.mark.parametrize(
    "edit",
    [
        f"DELETE FROM label_history WHERE serial = {LABEL}",
        f"DELETE FROM label_history WHERE serial = {LABEL}; DELETE FROM verification WHERE serial = {LABEL}",
        f"UPDATE label_history SET count = 0 WHERE serial = {LABEL}",
    ],
)
async def test_rows_edited_under_a_running_service_give_no_second_first(
    stage: PostgresqlStage, operator: Any, edit: str, message: str | None
) -> None:
    watched = await Watched.over(stage)
    assert [(await watched.ask(1)).ordinal for _ in range(3)] == [1, 2, 3]
    await operator.execute(edit)
    told = [await watched.ask(1, message=message and f"{message}{number}") for number in range(4)]
    assert [verdict.ordinal for verdict in told] == [None, None, None, 4]
    assert all(map(refused, told[:3]))
    assert watched.alarms == ["invariant_one_first", "invariant_ordinals_grow", "invariant_ordinals_grow"]
    if message is not None:
        assert await watched.engine.find_answer(request(1, message="m0")) is None
        assert refused(await watched.ask(1, message="m0"))
        assert len(watched.alarms) == 3
    assert (await watched.ask(2)).outcome is Outcome.FIRST, "other labels are served"
    await watched.engine.close()


async def test_numbers_that_begin_again_are_refused(stage: PostgresqlStage, operator: Any) -> None:
    """As on a standby that was promoted without the last commits, under a service that told of them."""
    watched = await Watched.over(stage)
    facts = [(await watched.ask(label, message=f"{label}")).verification_id for label in (1, 2, 3)]
    await operator.execute("DELETE FROM message; DELETE FROM verification; DELETE FROM label_history")
    await operator.execute("SELECT setval('verification_number', $1, FALSE)", facts[0])
    told = [await watched.ask(label, message=f"again {label}") for label in (3, 2, 1)]
    assert all(map(refused, told))
    assert set(watched.alarms) == {"invariant_recorded"}
    await watched.engine.close()


async def test_honest_trouble_rings_no_alarm(stage: PostgresqlStage, operator: Any) -> None:
    """Two processes, messages that come again to either, connections that end, codes recalled, voided and added."""
    other = await stage.other()
    watches = [await Watched.over(side) for side in (stage, other)]
    dice = random.Random(8)

    async def shop(shopper: int) -> None:
        for turn in range(12):
            message = dice.choice((None, f"{shopper}-{turn // 3}", f"{dice.randrange(20)}"))
            label = dice.randrange(6) if message is None else int(message.split("-")[0]) % 6
            await dice.choice(watches).ask(label, message=message)

    async def keep_changing() -> None:
        for turn in range(5):
            await stage.change(0, 3, 4, LabelState.VOIDED if turn % 2 else LabelState.ACTIVE)
            await stage.recall(0, lift=bool(turn % 2))
            (product, *_) = await stage.registry.products()
            await stage.registry.issue_batch(order_of(product))
            await operator.execute(_END_CONNECTIONS)

    trouble = await asyncio.gather(
        keep_changing(), *(shop(shopper) for shopper in range(24)), return_exceptions=True
    )
    assert [one for one in trouble[1:] if one is not None] == []
    for watched in watches:
        assert watched.alarms == []
        assert any(not refused(verdict) for verdict in watched.told)
        await watched.engine.close()
    rows = await operator.fetch("SELECT serial, ordinal FROM verification WHERE ordinal IS NOT NULL")
    by_label: dict[int, list[int]] = {}
    for serial, ordinal in rows:
        by_label.setdefault(serial, []).append(ordinal)
    assert by_label
    assert all(gaps(ordinals) == [] for ordinals in by_label.values())
