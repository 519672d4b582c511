"""The invariants of a running service on SQLite: lies and edited rows are refused and told of, honest trouble not."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from app.core.model.label import LabelState
from app.core.model.verdict import Detail, Outcome, Verdict
from tests.contract.store.lies import LIES, Lying, TellsAFirstAgain
from tests.contract.store.sqlite_stage import OFTEN, SqliteStage, order_of, prepare
from tests.contract.store.stage import gaps
from tests.contract.store.watched import Watched, request

LABEL = 20 * 10**15 + 1


@pytest.fixture
async def prepared(tmp_path: Path) -> Path:
    return await prepare(tmp_path / "prepared.db")


@pytest.fixture
async def stage(prepared: Path, tmp_path: Path) -> AsyncIterator[SqliteStage]:
    """A stage on which a label is folded, and so read from its row again, soon."""
    stage = await SqliteStage.open(prepared, tmp_path, OFTEN)
    yield stage
    await stage.close()


def refused(verdict: Verdict) -> bool:
    return (verdict.outcome, verdict.reasons) == (Outcome.UNAVAILABLE, (Detail.NOT_RECORDED,))


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("message", [None, "m"])
async def test_a_lie_is_refused_and_told_of(
    stage: SqliteStage, lie: type[Lying], message: str | None
) -> None:
    store = lie(stage.store)
    watched = await Watched.over(stage, store)
    assert [(await watched.ask(1)).ordinal for _ in range(3)] == [1, 2, 3]
    store.lying = True
    assert refused(await watched.ask(1, message=message))
    assert watched.alarms == [LIES[lie]]
    store.lying = False
    assert (await watched.ask(1)).ordinal == 5
    await watched.engine.close()


async def test_a_lie_spoils_no_other_answer_of_its_commit(stage: SqliteStage) -> None:
    store = TellsAFirstAgain(stage.store)
    watched = await Watched.over(stage, store)
    await watched.ask(1)
    store.lying = True
    told = await asyncio.gather(*(watched.ask(label) for label in (2, 1, 3)))
    assert [refused(verdict) for verdict in told] == [False, True, False]
    await watched.engine.close()


async def test_what_was_refused_stays_refused_when_its_message_comes_again(stage: SqliteStage) -> None:
    watched = await Watched.over(stage)
    await watched.ask(1)
    await forget_label(stage, watched)
    assert refused(await watched.ask(1, message="m"))
    assert await watched.engine.find_answer(request(1, message="m")) is None
    assert refused(await watched.ask(1, message="m"))
    assert watched.alarms == ["invariant_one_first"]
    await watched.engine.close()


async def forget_label(stage: SqliteStage, watched: Watched) -> None:
    """Take a label out of the record under the running service: its facts, its state, and what is in memory of it."""
    for label in (50, 51, 52):
        await watched.ask(label)  # so that its state is folded, and read again
    with closing(sqlite3.connect(stage.path)) as connection:
        connection.execute("DELETE FROM verification WHERE serial = ?", (LABEL,))
        connection.execute("DELETE FROM label_history WHERE serial = ?", (LABEL,))
        connection.commit()


@pytest.mark.parametrize("message", [None, "m"])
async def test_rows_taken_out_under_a_running_service_give_no_second_first(
    stage: SqliteStage, message: str | None
) -> None:
    watched = await Watched.over(stage)
    assert [(await watched.ask(1)).ordinal for _ in range(3)] == [1, 2, 3]
    await forget_label(stage, watched)
    told = [await watched.ask(1, message=message and f"{message}{number}") for number in range(4)]
    assert [verdict.ordinal for verdict in told] == [None, None, None, 4]
    assert all(map(refused, told[:3]))
    assert watched.alarms == ["invariant_one_first", "invariant_ordinals_grow", "invariant_ordinals_grow"]
    assert watched.firsts() == 4
    await watched.engine.close()


async def test_the_newest_facts_taken_out_lend_their_numbers_to_nobody(stage: SqliteStage) -> None:
    """Numbers are given anew then, and a message that came before has a number that was told."""
    watched = await Watched.over(stage)
    for label in (1, 50, 51, 52, 1):
        await watched.ask(label, message=f"{label}" if watched.told else None)
    with closing(sqlite3.connect(stage.path)) as connection:
        connection.execute("DELETE FROM verification")
        connection.execute("DELETE FROM label_history")
        connection.commit()
    told = [await watched.ask(label, message=f"again {label}") for label in (1, 50, 51, 52)]
    assert all(map(refused, told))
    assert set(watched.alarms) == {"invariant_recorded"}
    assert refused(await watched.ask(1, message="again 1"))
    assert (await watched.ask(1, message="1")).ordinal == 2, "what was told is told again"
    await watched.engine.close()


async def test_a_memory_that_went_wrong_is_read_anew(prepared: Path, tmp_path: Path) -> None:
    stage = await SqliteStage.open(prepared, tmp_path)
    watched = await Watched.over(stage)
    for _ in range(2):
        await watched.ask(1)
    histories = stage.storage.verifications._writer._histories
    state = histories._find(LABEL)
    assert state is not None
    state.count = 0
    assert refused(await watched.ask(1))
    assert watched.alarms == ["invariant_one_first"]
    assert (await watched.ask(1)).ordinal == 3
    await watched.engine.close()
    await stage.close()


# -- no false alarm -------------------------------------------------------------------------------------------------


async def test_honest_trouble_rings_no_alarm(stage: SqliteStage) -> None:
    """Two processes, many shoppers, messages that come again to either, codes recalled, voided and added meanwhile."""
    other = await stage.other()
    watches = [await Watched.over(side) for side in (stage, other)]
    dice = random.Random(7)

    async def shop(shopper: int) -> None:
        for turn in range(12):
            for _ in range(dice.randrange(5)):
                await asyncio.sleep(0)
            message = dice.choice((None, f"{shopper}-{turn // 3}", f"{dice.randrange(20)}"))
            label = dice.randrange(6) if message is None else int(message.split("-")[0]) % 6
            await dice.choice(watches).ask(label, message=message)

    async def keep_changing() -> None:
        for turn in range(6):
            await stage.change(0, 3, 4, LabelState.VOIDED if turn % 2 else LabelState.ACTIVE)
            await stage.recall(0, lift=bool(turn % 2))
            (product, *_) = await stage.registry.products()
            await stage.registry.issue_batch(order_of(product))
            await asyncio.sleep(0)

    await asyncio.gather(keep_changing(), *(shop(shopper) for shopper in range(24)))
    for watched in watches:
        assert watched.alarms == []
        await watched.engine.close()
    with closing(sqlite3.connect(stage.path)) as connection:
        rows = connection.execute("SELECT serial, ordinal FROM verification WHERE ordinal IS NOT NULL")
        by_label: dict[int, list[int]] = {}
        for serial, ordinal in rows:
            by_label.setdefault(serial, []).append(ordinal)
    assert len(by_label) >= 4
    assert all(gaps(ordinals) == [] for ordinals in by_label.values())


async def test_a_backup_put_in_place_rings_no_alarm_once_the_service_started_on_it(
    stage: SqliteStage,
) -> None:
    watched = await Watched.over(stage)
    await watched.ask(1, message="before")
    backup = stage.path.with_name("backup.db")
    with closing(sqlite3.connect(stage.path)) as live, closing(sqlite3.connect(backup)) as copy:
        live.backup(copy)
    for _ in range(3):
        await watched.ask(1, message="after")
        await watched.ask(1)
    await watched.engine.close()
    await stage.storage.close()
    for suffix in ("-wal", "-shm"):
        stage.path.with_name(stage.path.name + suffix).unlink(missing_ok=True)
    shutil.copy(backup, stage.path)
    await stage.reopen()
    restored = await Watched.over(stage)
    assert [(await restored.ask(1, message=text)).ordinal for text in ("before", "after", "after")] == [
        1,
        2,
        2,
    ]
    assert (await restored.ask(1)).ordinal == 3
    assert restored.journal.failures == []
    await restored.engine.close()
