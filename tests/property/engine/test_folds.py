"""However records, folds, crashes, failures and two processes on one file follow each other: one plain history."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from app.adapters.storage.sqlite import FoldLimits, open_sqlite
from app.adapters.storage.sqlite.histories import Histories
from app.adapters.storage.sqlite.transaction import record_drafts
from app.core.errors import StoreUnavailable
from app.core.model.verdict import Verdict
from app.core.model.verification import Draft
from tests.contract.store.sqlite_stage import SqliteStage, prepare
from tests.contract.store.stage import FULL, Asking
from tests.fakes.clock import START
from tests.property.engine.history_model import Asked, HistoryModel

_TOKENS = (None, b"caller-number-01", b"caller-number-02", b"caller-number-03")
_LABELS = 6


@dataclass(frozen=True, slots=True)
class _Query:
    label: int
    token: bytes | None
    message: bytes | None


_QUERY = st.builds(
    _Query,
    label=st.sampled_from([0, 0, *range(_LABELS)]),
    token=st.sampled_from(_TOKENS),
    message=st.one_of(st.none(), st.none(), st.integers(0, 5).map(lambda number: bytes([number]) * 16)),
)
# mostly small batches, so that a fold is spread over several commits
_QUERIES = st.one_of(
    _QUERY.map(lambda query: [query]), st.lists(_QUERY, max_size=2), st.lists(_QUERY, max_size=9)
)
_SIDES = st.integers(0, 1)


class FoldMachine(RuleBasedStateMachine):
    """Two processes on one file, each folding all the time."""

    prepared: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.sides: list[Asking] = []
        self.history = HistoryModel()
        self.messages: dict[bytes, Verdict] = {}
        self.at = START

    @initialize(
        labels=st.sampled_from([1, 3, 5, 9]), facts=st.sampled_from([2, 8, 99]), slice_=st.integers(1, 2)
    )
    def open(self, labels: int, facts: int, slice_: int) -> None:
        self.fold = FoldLimits(labels=labels, facts=facts, slice=slice_)
        first = self.runner.run(SqliteStage.open(self.prepared, self.folder, self.fold))
        second = self.runner.run(first.other())
        self.stages = [first, second]
        self.sides = [Asking(first), Asking(second)]

    @rule(batches=st.lists(st.tuples(_SIDES, _QUERIES), min_size=1, max_size=5))
    def record(self, batches: list[tuple[int, list[_Query]]]) -> None:
        for side, queries in batches:
            self._record(side, queries)

    def _record(self, side: int, queries: list[_Query]) -> None:
        drafts = self._drafts(side, queries)
        verdicts = self.runner.run(self.sides[side].record(drafts))
        for query, draft, verdict in zip(queries, drafts, verdicts, strict=True):
            if query.message in self.messages:
                assert verdict == self.messages[query.message]
                continue
            asked = Asked(at=draft.received_at, channel=draft.channel, token=query.token)
            self.history.count(query.label, asked)
            self.history.check(query.label, verdict, thresholds=(1, 4), stronger=[])
            if query.message is not None:
                self.messages[query.message] = verdict

    @rule(side=_SIDES, queries=_QUERIES)
    def fail_while_recording(self, side: int, queries: list[_Query]) -> None:
        """The disk refuses after everything was counted in memory: nothing of it may have happened."""
        drafts = self._drafts(side, queries)
        catalogue = self.runner.run(self.stages[side].catalogues.load())

        def refuse(db: sqlite3.Connection, histories: Histories) -> None:
            record_drafts(db, histories, drafts, catalogue)
            raise sqlite3.OperationalError("disk I/O error")

        with pytest.raises(StoreUnavailable):
            self._work(side, refuse)

    @rule(side=_SIDES, labels=st.sampled_from([1, 1, 2, 100]))
    def fold_while_idle(self, side: int, labels: int) -> None:
        def fold(_db: sqlite3.Connection, histories: Histories) -> None:
            if histories.unfolded:
                histories.fold(labels)

        self._work(side, fold)

    @rule(side=_SIDES)
    def lose_memory(self, side: int) -> None:
        """A crash: what was in memory is gone, folded or not."""
        self._work(side, lambda _db, histories: histories.reset())

    @rule(side=_SIDES, orderly=st.booleans())
    def restart(self, side: int, orderly: bool) -> None:
        if not orderly:
            self.lose_memory(side)
        stage = self.stages[side]
        self.runner.run(stage.storage.close())
        stage.storage = self.runner.run(open_sqlite(stage.path, fold=self.fold))

    @rule(side=_SIDES, label=st.integers(0, _LABELS - 1), token=st.sampled_from(_TOKENS))
    def preview(self, side: int, label: int, token: bytes | None) -> None:
        stage = self.stages[side]
        drafts = self._drafts(side, [_Query(label, token, None)])
        catalogue = self.runner.run(stage.catalogues.load())
        (verdict,) = self.runner.run(stage.store.preview(drafts, catalogue))
        assert verdict.ordinal == len(self.history.queries.get(label, ())) + 1

    @precondition(lambda self: bool(self.messages))
    @rule(side=_SIDES, data=st.data())
    def read_back(self, side: int, data: st.DataObject) -> None:
        told = self.messages[data.draw(st.sampled_from(sorted(self.messages)))]
        stage = self.stages[side]
        assert told.verification_id is not None
        catalogue = self.runner.run(stage.catalogues.load())
        record = self.runner.run(stage.store.find_record(told.verification_id, None, catalogue))
        assert record is not None
        assert (record.announced, record.ordinal, record.first) == (told.outcome, told.ordinal, told.first)
        assert (record.own_first_at, record.reasons) == (told.own_first_at, told.reasons)

    @rule(side=_SIDES, label=st.integers(0, _LABELS - 1))
    def count(self, side: int, label: int) -> None:
        """Not an invariant: looking makes a process catch up, and the one that has not is the one to be feared."""
        stage = self.stages[side]
        first = self.runner.run(stage.catalogues.load()).batches[FULL].first_serial
        assert self.runner.run(stage.store.peek(first + label)) == len(self.history.queries.get(label, ()))

    def teardown(self) -> None:
        try:
            if self.sides:
                self.runner.run(self._close())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _close(self) -> None:
        for stage in self.stages:
            await stage.storage.close()
        first, facts, folded, through = _read(self.stages[0].path)
        counts = {label: len(queries) for label, queries in self.history.queries.items()}
        assert len(facts) == sum(counts.values())
        for label, count in counts.items():
            own = [(number, ordinal) for number, serial, ordinal in facts if serial == first + label]
            assert [ordinal for _, ordinal in own] == [*range(1, count + 1)]
            assert sum(number <= through for number, _ in own) <= folded.get(first + label, 0) <= count

    def _drafts(self, side: int, queries: list[_Query]) -> list[Draft]:
        async def make() -> list[Draft]:
            asking = self.sides[side]
            asking.at = self.at = self.at + timedelta(seconds=60)
            return [
                await asking.draft(query.label, token=query.token, message=query.message) for query in queries
            ]

        return self.runner.run(make())

    def _work(self, side: int, work: Callable[[sqlite3.Connection, Histories], None]) -> None:
        async def submit() -> None:
            await self.stages[side].storage._writer.submit(work)

        self.runner.run(submit())


def _read(path: Path) -> tuple[int, list[tuple[int, int, int]], dict[int, int], int]:
    """Return first serial, counted facts in order, folded counts, and up to where they are folded, as in the file."""
    with closing(sqlite3.connect(path)) as db:
        first = db.execute("SELECT min(first_serial) FROM batch").fetchone()[0]
        facts = db.execute(
            "SELECT id, serial, ordinal FROM verification WHERE ordinal IS NOT NULL ORDER BY id"
        )
        folded = dict(db.execute("SELECT serial, count FROM label_history"))
        return first, facts.fetchall(), folded, db.execute("SELECT through FROM fold").fetchone()[0]


@pytest.fixture(scope="module", autouse=True)
def prepared(tmp_path_factory: pytest.TempPathFactory) -> None:
    FoldMachine.prepared = asyncio.run(prepare(tmp_path_factory.mktemp("prepared") / "record.db"))


TestFolds = FoldMachine.TestCase
TestFolds.settings = settings(max_examples=settings().max_examples, stateful_step_count=25)
