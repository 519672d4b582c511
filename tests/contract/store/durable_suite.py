"""What a record that outlives its process must do besides. Bind it by a subclass with the fixture ``stage``."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.core.errors import CatalogueChanged
from app.core.model.verdict import Outcome
from tests.contract.store.stage import FULL, ISSUED_FROM, KNOWN, OTHER, THIRD, Asking, DurableStage, gaps


class DurableStoreContract:
    """The same history after a stop, after a crash, and for two processes at once."""

    @pytest.fixture(params=["reopen", "crash"])
    def restart(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    async def test_a_recorded_fact_survives(self, stage: DurableStage, asking: Asking, restart: str) -> None:
        told = await asking.ask(1, token=KNOWN, place="浙江杭州")
        assert told.verification_id is not None
        await getattr(stage, restart)()
        record = await stage.store.find_record(told.verification_id, KNOWN, await stage.catalogues.load())
        assert record is not None
        assert (record.announced, record.first, record.ordinal) == (told.outcome, told.first, 1)
        assert record.asked_by_reader
        again = await asking.ask(1, token=OTHER)
        assert (again.outcome, again.ordinal) == (Outcome.REPEAT, 2)
        assert again.first is not None
        assert (again.first.at, again.first.place) == (told.recorded_at, "浙江杭州")

    async def test_a_message_is_known_afterwards(
        self, stage: DurableStage, asking: Asking, restart: str
    ) -> None:
        asked = ((1, b"a" * 16), (None, b"b" * 16), (ISSUED_FROM, b"c" * 16))
        told = [await asking.ask(offset, message=key, token=KNOWN) for offset, key in asked]
        await getattr(stage, restart)()
        assert [await asking.ask(offset, message=key, token=KNOWN) for offset, key in asked] == told
        assert (await asking.ask(1)).ordinal == 2

    async def test_callers_keep_their_own_counts(
        self, stage: DurableStage, asking: Asking, restart: str
    ) -> None:
        first = await asking.ask(1, token=KNOWN)
        other = await asking.ask(1, token=OTHER)
        for offset in range(2, 12):  # enough to fold what stands above, where folds are frequent
            await asking.ask(offset)
        await getattr(stage, restart)()
        for _ in range(2):
            mine = await asking.ask(1, token=KNOWN)
            theirs = await asking.ask(1, token=OTHER)
            assert (mine.own_first_at, theirs.own_first_at) == (first.recorded_at, other.recorded_at)
            assert (await asking.ask(1, token=THIRD, message=b"third message 01")).ordinal == 5
            await getattr(stage, restart)()
        # 7 in all: 3 by KNOWN, 3 by OTHER, 1 by THIRD
        last = await asking.ask(1, token=KNOWN)
        assert (last.ordinal, last.outcome) == (8, Outcome.OVER_LIMIT)

    async def test_two_processes_share_one_history(self, stage: DurableStage, asking: Asking) -> None:
        other = Asking(await stage.other())
        told = [await (asking, other)[turn % 2].ask(1, token=KNOWN) for turn in range(9)]
        assert [verdict.ordinal for verdict in told] == list(range(1, 10))
        assert {verdict.outcome for verdict in told[1:]} == {Outcome.REPEAT_OWN}
        assert {verdict.own_first_at for verdict in told[1:]} == {told[0].recorded_at}

    async def test_two_processes_at_once_have_one_first_and_no_gap(
        self, stage: DurableStage, asking: Asking
    ) -> None:
        sides = (asking, Asking(await stage.other()))
        catalogue = await stage.catalogues.load()

        async def ask(number: int) -> tuple[int, int | None]:
            side = sides[number % 2]
            draft = await side.draft(number % 5, catalogue=catalogue, token=(KNOWN, OTHER, None)[number % 3])
            (verdict,) = await side.stage.store.record([draft], catalogue)
            return number % 5, verdict.ordinal

        told = await asyncio.gather(*(ask(number) for number in range(200)))
        assert [gaps(ordinal for label, ordinal in told if label == each) for each in range(5)] == [[]] * 5

    async def test_a_message_to_two_processes_is_one_query(self, stage: DurableStage, asking: Asking) -> None:
        other = Asking(await stage.other())
        told = await asking.ask(1, message=b"m" * 16, token=KNOWN)
        assert await other.ask(1, message=b"m" * 16, token=KNOWN) == told
        assert await other.stage.store.find_answer(b"m" * 16) == told

    async def test_a_second_id_of_a_message_is_known_to_two_processes(
        self, stage: DurableStage, asking: Asking
    ) -> None:
        other = Asking(await stage.other())
        told = await asking.ask(1, message=b"m" * 16, alias=b"a" * 16)
        assert await other.ask(1, message=b"n" * 16, alias=b"a" * 16) == told
        assert await stage.store.find_answer(b"n" * 16) == told

    async def test_a_recall_by_another_process_holds_at_once(
        self, stage: DurableStage, asking: Asking
    ) -> None:
        other = await stage.other()
        old = await stage.catalogues.load()
        await other.recall(FULL)
        with pytest.raises(CatalogueChanged):
            await stage.store.record([await asking.draft(1, catalogue=old)], old)
        assert (await asking.ask(1)).outcome is Outcome.RECALLED
        assert (await Asking(other).ask(1)).ordinal == 2

    async def test_what_a_reader_sees_is_the_same_from_another_process(
        self, stage: DurableStage, asking: Asking
    ) -> None:
        other = await stage.other()
        await asking.ask(1, token=OTHER)
        told = await asking.ask(1, token=KNOWN)
        assert told.verification_id is not None
        catalogue = await stage.catalogues.load()
        seen = [
            await side.store.find_record(told.verification_id, KNOWN, catalogue) for side in (stage, other)
        ]
        assert seen[0] == seen[1]
        assert seen[0] is not None
        assert seen[0].ordinal == 2

    async def test_a_caller_who_is_forgotten_has_no_list(self, stage: DurableStage, asking: Asking) -> None:
        other = await stage.other()
        told = await asking.ask(1, token=KNOWN, channel="wechat")
        catalogue = await stage.catalogues.load()
        for side in (stage, other):
            (record,) = await side.store.find_own(KNOWN, "wechat", 20, catalogue)
            assert record.verification.id == told.verification_id
        await stage.forget(asking.at + timedelta(days=731))
        assert list(await stage.store.find_own(KNOWN, "wechat", 20, catalogue)) == []

    async def test_forgotten_callers_and_messages_leave_the_record_whole(
        self, stage: DurableStage, asking: Asking
    ) -> None:
        told = await asking.ask(1, token=KNOWN, message=b"m" * 16)
        await stage.forget(asking.at + timedelta(days=7))
        assert await asking.ask(1, token=KNOWN, message=b"m" * 16) == told
        assert (await asking.ask(1, token=KNOWN)).own_first_at == told.recorded_at
        await stage.forget(asking.at + timedelta(days=9))
        assert await stage.store.find_answer(b"m" * 16) is None
        assert (await asking.ask(1, token=KNOWN)).own_first_at == told.recorded_at
        await stage.forget(asking.at + timedelta(days=731))
        stranger = await asking.ask(1, token=KNOWN)
        assert (stranger.ordinal, stranger.own_first_at) == (4, None)
        assert stranger.first is not None
        assert (stranger.first.at, stranger.first.own) == (told.recorded_at, False)
