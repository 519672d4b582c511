"""A batch without messages and known callers is recorded in one statement; it says and keeps what the three say."""

from __future__ import annotations

import random
from typing import Any, Final

import asyncpg

from app.adapters.storage.postgresql.batches import RECORD
from app.core.model.label import Thresholds
from app.core.rules import policy_number
from tests.integration.postgresql.prepared import Prepared

_BATCHES: Final = 60
_APART: Final = 1_000
_SOMEBODY: Final = ([b"nobody in the batch"], [1], [7], [1])
_NOBODY: Final[tuple[list[Any], ...]] = ([], [], [], [])
_KEPT: Final = "SELECT {} FROM {} WHERE serial BETWEEN $1 AND $1 + 99 ORDER BY serial, {}"


def _drafts(draw: random.Random, first: int, at: int) -> tuple[list[Any], ...]:
    """Return p_at to p_warn of one batch: counted labels, some of them twice, voided ones and unknown codes."""
    rows = []
    for number in range(draw.randint(1, 12)):
        kind = draw.choice(["counted", "counted", "recalled", "voided", "unknown"])
        serial = None if kind == "unknown" else first + draw.randint(1, 9)
        state = {"counted": None, "recalled": "recalled", "voided": "voided", "unknown": "not_found"}[kind]
        counted = kind in {"counted", "recalled"}
        thresholds = draw.choice([Thresholds(genuine=1, warn=4), Thresholds(genuine=2, warn=2)])
        policy = 0 if serial is None else policy_number(thresholds)
        digest = bytes(16) if serial is None else None
        place = draw.choice([None, "广东深圳"])
        channel = draw.choice(["api", "sms"])
        rows.append(
            (
                at + number,
                serial,
                counted,
                channel,
                place,
                None,
                digest,
                policy,
                state,
                thresholds.genuine,
                thresholds.warn,
            )
        )
    return tuple(list(column) for column in zip(*rows, strict=True))


async def _record(connection: Any, version: int, drafts: tuple[list[Any], ...], callers: Any) -> list[Any]:
    rows = await connection.fetch(RECORD, version, *drafts, *callers, [], [], [])
    told = [{name: row[name] for name in row.keys() if name != "id"} for row in rows]  # noqa: SIM118 - no dict
    ids = [row["id"] for row in sorted(rows, key=lambda row: row["draft"])]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    return sorted(told, key=lambda one: one["draft"])


async def _kept(connection: Any, first: int) -> list[Any]:
    columns = f"serial - {first}, ordinal, own_ordinal, outcome, reasons, channel, place, caller, digest, policy, at"
    facts = await connection.fetch(_KEPT.format(columns, "verification", "id"), first)
    states = (
        f"serial - {first}, count, first_at, first_channel, first_place, first_caller, first_caller_count"
    )
    return [*facts, *await connection.fetch(_KEPT.format(states, "label_history", "count"), first)]


async def _compare(prepared: Prepared) -> None:
    await prepared.empty()
    draw = random.Random(20261121)
    connection: Any = await asyncpg.connect(prepared.url)
    try:
        version = await connection.fetchval("SELECT version FROM catalogue_version")
        for number in range(_BATCHES):
            at = 1_795_000_000_000_000 + number * 1000
            seed = draw.getrandbits(32)
            one = _drafts(random.Random(seed), _APART, at)
            other = _drafts(random.Random(seed), 2 * _APART, at)
            assert await _record(connection, version, one, _NOBODY) == await _record(
                connection, version, other, _SOMEBODY
            )
        short, long = [await _kept(connection, first) for first in (_APART, 2 * _APART)]
        assert len(short) > _BATCHES
        assert [tuple(row) for row in short] == [tuple(row) for row in long]
        assert await connection.fetchval("SELECT count(*) FROM verification WHERE serial < 0") > _BATCHES
    finally:
        await connection.close()


async def test_both_ways_record_the_same(plain: Prepared) -> None:
    await _compare(plain)


async def test_both_ways_record_the_same_in_parts(sharded: Prepared) -> None:
    await _compare(sharded)
