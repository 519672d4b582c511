"""What every record of verifications must do. Bind it by a subclass with the fixture ``stage``."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.errors import CatalogueChanged
from app.core.model.catalogue import Catalogue
from app.core.model.label import LabelState
from app.core.model.verdict import Detail, Outcome, VerificationId
from tests.contract.store.stage import (
    FULL,
    ISSUED_FROM,
    KNOWN,
    MINIMAL,
    OTHER,
    THIRD,
    VOIDED_FROM,
    Asking,
    Stage,
    gaps,
    outcomes,
)


@pytest.fixture
def asking(stage: Stage) -> Asking:
    return Asking(stage)


class VerificationStoreContract:
    """Ordinals, retries, what is counted and what a reader may see."""

    async def test_many_at_once_have_one_first_and_no_gap(self, stage: Stage, asking: Asking) -> None:
        catalogue = await stage.catalogues.load()
        drafts = [await asking.draft(number % 3, catalogue=catalogue) for number in range(150)]
        answers = await asyncio.gather(*(stage.store.record([draft], catalogue) for draft in drafts))
        by_label: dict[int, list[int | None]] = {}
        for draft, (verdict,) in zip(drafts, answers, strict=True):
            assert draft.label is not None
            by_label.setdefault(draft.label.serial, []).append(verdict.ordinal)
        assert [gaps(ordinals) for ordinals in by_label.values()] == [[], [], []]
        assert outcomes(v for (v,) in answers).count(Outcome.FIRST) == 3

    async def test_within_a_batch_the_order_is_the_order_of_arrival(self, asking: Asking) -> None:
        drafts = [await asking.draft(offset) for offset in (1, 2, 1, 1, 2)]
        assert [verdict.ordinal for verdict in await asking.record(drafts)] == [1, 1, 2, 3, 2]

    async def test_facts_have_ids_of_their_own(self, asking: Asking) -> None:
        drafts = [await asking.draft(offset) for offset in (1, None, ISSUED_FROM, 1)]
        ids = [verdict.verification_id for verdict in await asking.record(drafts)]
        ids.append((await asking.ask(1)).verification_id)
        assert None not in ids
        assert len(set(ids)) == 5

    async def test_an_empty_batch_is_no_fault(self, asking: Asking) -> None:
        assert list(await asking.record([])) == []

    # -- retries ---------------------------------------------------------------------------------------------

    async def test_a_message_twice_in_one_batch_is_one_query(self, asking: Asking) -> None:
        twice = [await asking.draft(1, message=b"m" * 16, token=KNOWN) for _ in range(2)]
        first, second = await asking.record([*twice])
        assert first == second
        assert (await asking.ask(1)).ordinal == 2

    async def test_a_message_again_later_gets_the_stored_verdict_whole(self, asking: Asking) -> None:
        await asking.ask(1, token=KNOWN, place="浙江杭州")
        await asking.ask(1, token=OTHER)
        first = await asking.ask(1, token=KNOWN, message=b"m" * 16)
        for _ in range(3):
            await asking.ask(1, token=THIRD)
        assert await asking.ask(1, token=KNOWN, message=b"m" * 16) == first
        assert await asking.stage.store.find_answer(b"m" * 16) == first
        assert (await asking.ask(1)).ordinal == 7
        assert first.reasons == (Detail.OWN_BEFORE,)
        assert first.first is not None
        assert first.first.place == "浙江杭州"

    @pytest.mark.parametrize("offset", [None, ISSUED_FROM, VOIDED_FROM])
    async def test_a_message_is_known_also_where_nothing_was_counted(
        self, asking: Asking, offset: int | None
    ) -> None:
        first = await asking.ask(offset, message=b"m" * 16)
        assert await asking.ask(offset, message=b"m" * 16) == first
        assert await asking.ask(offset, message=b"n" * 16) != first

    async def test_a_message_keeps_its_verdict_through_a_recall(self, stage: Stage, asking: Asking) -> None:
        first = await asking.ask(1, message=b"m" * 16)
        await stage.recall(FULL)
        assert await asking.ask(1, message=b"m" * 16) == first
        assert (await asking.ask(1)).outcome is Outcome.RECALLED

    async def test_a_message_many_times_at_once_is_one_query(self, stage: Stage, asking: Asking) -> None:
        catalogue = await stage.catalogues.load()
        draft = await asking.draft(1, message=b"m" * 16)
        answers = await asyncio.gather(*(stage.store.record([draft], catalogue) for _ in range(20)))
        assert len({verdict.verification_id for (verdict,) in answers}) == 1
        assert (await asking.ask(1)).ordinal == 2

    async def test_a_message_never_seen_has_no_answer(self, stage: Stage) -> None:
        assert await stage.store.find_answer(b"never seen 12345") is None

    # -- a second id of one message --------------------------------------------------------------------------

    async def test_either_id_of_a_message_gets_the_stored_verdict(self, stage: Stage, asking: Asking) -> None:
        first = await asking.ask(1, message=b"m" * 16, alias=b"a" * 16)
        assert await asking.ask(1, message=b"m" * 16) == first
        assert await asking.ask(1, message=b"a" * 16) == first
        assert await asking.ask(1, message=b"n" * 16, alias=b"a" * 16) == first
        assert await asking.ask(1, alias=b"m" * 16) == first
        assert (await asking.ask(1)).ordinal == 2
        for keys in ((b"m", b"a"), (b"a", b"x"), (b"x", b"a"), (b"n", b"x")):
            assert await stage.store.find_answer(*(key * 16 for key in keys)) == first
        assert await stage.store.find_answer(b"x" * 16, b"y" * 16) is None

    async def test_an_id_that_comes_with_a_known_one_is_known_from_then_on(
        self, stage: Stage, asking: Asking
    ) -> None:
        first = await asking.ask(1, message=b"m" * 16)
        assert await asking.ask(1, message=b"m" * 16, alias=b"a" * 16) == first
        assert await stage.store.find_answer(b"a" * 16) == first
        assert await asking.ask(1, message=b"o" * 16, alias=b"a" * 16) == first
        assert await stage.store.find_answer(b"o" * 16) == first
        assert (await asking.ask(1)).ordinal == 2

    async def test_the_ids_of_one_message_meet_within_a_batch(self, asking: Asking) -> None:
        keys = (
            (b"m", b"a"),
            (b"n", b"a"),
            (b"n", None),
            (b"b", b"n"),
            (b"b", None),
            (None, b"b"),
            (b"c", b"d"),
        )
        drafts = [
            await asking.draft(1, message=message and message * 16, alias=alias and alias * 16)
            for message, alias in keys
        ]
        told = await asking.record(drafts)
        assert [verdict.ordinal for verdict in told] == [1] * 6 + [2]

    # -- the catalogue ---------------------------------------------------------------------------------------

    async def test_a_stale_catalogue_records_nothing(self, stage: Stage, asking: Asking) -> None:
        old = await stage.catalogues.load()
        assert await stage.catalogues.version() == old.version
        await stage.recall(FULL)
        assert await stage.catalogues.version() > old.version
        draft = await asking.draft(1, catalogue=old, message=b"m" * 16)
        for stale in (old, Catalogue(version=-1), replace(old, version=old.version + 99)):
            with pytest.raises(CatalogueChanged):
                await stage.store.record([draft], stale)
        assert await stage.store.find_answer(b"m" * 16) is None
        assert (await asking.ask(1)).ordinal == 1

    async def test_a_recall_holds_from_its_commit_and_can_be_lifted(
        self, stage: Stage, asking: Asking
    ) -> None:
        assert (await asking.ask(1)).outcome is Outcome.FIRST
        await stage.recall(FULL)
        recalled = await asking.ask(1)
        assert (recalled.outcome, recalled.ordinal) == (Outcome.RECALLED, 2)
        assert (await asking.ask(ISSUED_FROM)).ordinal == 1
        await stage.recall(FULL, lift=True)
        assert (await asking.ask(1)).outcome is Outcome.REPEAT
        assert (await asking.ask(ISSUED_FROM)).outcome is Outcome.NOT_ACTIVE

    async def test_the_last_change_of_state_wins(self, stage: Stage, asking: Asking) -> None:
        for state, outcome, ordinal in (
            (LabelState.VOIDED, Outcome.VOIDED, None),
            (LabelState.EXPIRED, Outcome.EXPIRED, 1),
            (LabelState.ACTIVE, Outcome.REPEAT, 2),
            (LabelState.VOIDED, Outcome.VOIDED, None),
            (LabelState.ACTIVE, Outcome.REPEAT, 3),
        ):
            await stage.change(FULL, 5, 7, state)
            verdict = await asking.ask(6)
            assert (verdict.outcome, verdict.ordinal) == (outcome, ordinal)
        assert (await asking.ask(8)).outcome is Outcome.FIRST

    # -- what is counted -------------------------------------------------------------------------------------

    async def test_answers_without_an_ordinal_burn_nothing(self, stage: Stage, asking: Asking) -> None:
        for offset, outcome in (
            (None, Outcome.NOT_FOUND),
            (ISSUED_FROM, Outcome.NOT_ACTIVE),
            (VOIDED_FROM, Outcome.VOIDED),
        ):
            for _ in range(2):
                verdict = await asking.ask(offset, token=KNOWN)
                assert (verdict.outcome, verdict.ordinal, verdict.first) == (outcome, None, None)
                assert verdict.verification_id is not None
        await stage.change(FULL, ISSUED_FROM, VOIDED_FROM, LabelState.ACTIVE)
        for offset in (ISSUED_FROM, VOIDED_FROM):
            assert (await asking.ask(offset, token=KNOWN)).outcome is Outcome.FIRST

    async def test_callers_are_counted_each_by_itself(self, asking: Asking) -> None:
        asked = [KNOWN, OTHER, KNOWN, OTHER, None, KNOWN, THIRD, None, THIRD]
        verdicts = await asking.record([await asking.draft(1, token=token) for token in asked])
        assert [verdict.ordinal for verdict in verdicts] == list(range(1, 10))
        own = [verdict.own_first_at for verdict in verdicts]
        at = [verdict.recorded_at for verdict in verdicts]
        assert own == [None, None, at[0], at[1], None, at[0], None, None, at[6]]
        first_own = [verdict.first.own for verdict in verdicts if verdict.first]
        assert first_own == [token == KNOWN for token in asked]
        # others so far, without this one's own: 0 1 1 2 4 3 6 7 7 against the thresholds 1 and 4
        assert outcomes(verdicts) == [
            Outcome.FIRST,
            *[Outcome.REPEAT] * 3,
            Outcome.OVER_LIMIT,
            Outcome.REPEAT,
            *[Outcome.OVER_LIMIT] * 3,
        ]

    async def test_an_own_repeat_of_a_moment_ago_is_told_apart(self, asking: Asking) -> None:
        await asking.ask(1, token=KNOWN)
        soon = await asking.ask(1, token=KNOWN)
        asking.at += timedelta(minutes=11)
        later = await asking.ask(1, token=KNOWN)
        assert (soon.outcome, soon.reasons) == (Outcome.REPEAT_OWN, (Detail.JUST_RECORDED,))
        assert (later.outcome, later.reasons, later.ordinal) == (Outcome.REPEAT_OWN, (), 3)

    async def test_a_caller_without_a_token_is_never_own(self, asking: Asking) -> None:
        await asking.ask(1)
        again = await asking.ask(1)
        assert again.outcome is Outcome.REPEAT
        assert again.first is not None
        assert not again.first.own

    # -- reading back ----------------------------------------------------------------------------------------

    async def test_a_record_is_read_back_as_its_reader_may_see_it(self, stage: Stage, asking: Asking) -> None:
        await asking.ask(1, token=OTHER, place="北京", channel="api")
        await asking.ask(1, token=KNOWN)
        told = await asking.ask(1, token=KNOWN)
        assert told.verification_id is not None
        catalogue = await stage.catalogues.load()
        for reader, mine in ((KNOWN, True), (OTHER, False), (THIRD, False), (None, False)):
            record = await stage.store.find_record(told.verification_id, reader, catalogue)
            assert record is not None
            assert record.asked_by_reader is mine
            assert record.announced is told.outcome
            assert (record.ordinal, record.reasons, record.first) == (3, told.reasons, told.first)
            assert (record.own_first_at, record.label) == (told.own_first_at, told.label)
            assert record.verification.outcome is told.outcome

    async def test_a_caller_without_a_token_is_nobodys_reader(self, stage: Stage, asking: Asking) -> None:
        told = await asking.ask(1)
        assert told.verification_id is not None
        record = await stage.store.find_record(told.verification_id, None, await stage.catalogues.load())
        assert record is not None
        assert not record.asked_by_reader

    async def test_a_record_that_is_not_there_is_none(self, stage: Stage) -> None:
        catalogue = await stage.catalogues.load()
        for number in (1, 0, -1, 2**62):
            assert await stage.store.find_record(VerificationId(number), KNOWN, catalogue) is None

    @pytest.mark.parametrize("offset", [ISSUED_FROM, VOIDED_FROM])
    async def test_a_brand_that_discloses_little_announces_not_found(
        self, stage: Stage, asking: Asking, offset: int
    ) -> None:
        unknown = await asking.ask(None, batch=MINIMAL)
        assert unknown.verification_id is not None
        nothing = await stage.store.find_record(unknown.verification_id, None, await stage.catalogues.load())
        assert nothing is not None  # weighed with a stand-in, and recorded without
        assert (nothing.verification.outcome, nothing.verification.serial) == (Outcome.NOT_FOUND, None)
        assert (nothing.verification.policy, nothing.verification.code_digest is None) == (0, False)
        told = await asking.ask(offset, batch=MINIMAL, token=KNOWN)
        assert (
            replace(told, recorded_at=unknown.recorded_at, verification_id=unknown.verification_id) == unknown
        )
        assert told.verification_id is not None
        record = await stage.store.find_record(told.verification_id, KNOWN, await stage.catalogues.load())
        assert record is not None
        assert (record.announced, record.label, record.reasons) == (Outcome.NOT_FOUND, None, ())
        assert record.asked_by_reader
        truth = Outcome.NOT_ACTIVE if offset == ISSUED_FROM else Outcome.VOIDED
        assert record.verification.outcome is truth

    async def test_a_brand_that_discloses_little_still_tells_of_a_recall(
        self, stage: Stage, asking: Asking
    ) -> None:
        await stage.recall(MINIMAL)
        for offset, hidden in ((ISSUED_FROM, Outcome.NOT_ACTIVE), (VOIDED_FROM, Outcome.VOIDED)):
            told = await asking.ask(offset, batch=MINIMAL)
            assert (told.outcome, told.reasons) == (Outcome.RECALLED, (Outcome.FIRST,))
            assert told.verification_id is not None
            record = await stage.store.find_record(told.verification_id, None, await stage.catalogues.load())
            assert record is not None
            assert record.reasons == (Outcome.FIRST,)
            assert record.verification.reasons == (hidden, Outcome.FIRST)
        assert (await asking.ask(1, batch=MINIMAL)).outcome is Outcome.RECALLED

    async def test_a_caller_reads_their_own_checks_the_newest_first(
        self, stage: Stage, asking: Asking
    ) -> None:
        told = [await asking.ask(offset, token=KNOWN, channel="wechat") for offset in (1, 2, 1, None)]
        await asking.ask(1, token=OTHER, channel="wechat")
        await asking.ask(3, channel="wechat")
        catalogue = await stage.catalogues.load()
        records = await stage.store.find_own(KNOWN, "wechat", 20, catalogue)
        assert [record.verification.id for record in records] == [one.verification_id for one in told[::-1]]
        for record, verdict in zip(records, told[::-1], strict=True):
            assert record.asked_by_reader
            assert (record.announced, record.ordinal) == (verdict.outcome, verdict.ordinal)
            assert (record.label, record.reasons) == (verdict.label, verdict.reasons)
            assert record.verification.recorded_at == verdict.recorded_at
            assert (record.first, record.own_first_at) == (None, None)
        newest = await stage.store.find_own(KNOWN, "wechat", 2, catalogue)
        assert list(newest) == list(records[:2])
        assert list(await stage.store.find_own(THIRD, "wechat", 20, catalogue)) == []

    async def test_a_channel_that_keeps_no_list_has_none(self, stage: Stage, asking: Asking) -> None:
        await asking.ask(1, token=KNOWN, channel="web")
        catalogue = await stage.catalogues.load()
        for channel in ("web", "wechat", ""):
            assert list(await stage.store.find_own(KNOWN, channel, 20, catalogue)) == []

    @pytest.mark.parametrize("offset", [ISSUED_FROM, VOIDED_FROM])
    async def test_a_list_discloses_no_more_than_the_answer_did(
        self, stage: Stage, asking: Asking, offset: int
    ) -> None:
        await asking.ask(offset, batch=MINIMAL, token=KNOWN, channel="wechat")
        (record,) = await stage.store.find_own(KNOWN, "wechat", 20, await stage.catalogues.load())
        assert (record.announced, record.label, record.reasons) == (Outcome.NOT_FOUND, None, ())

    async def test_the_check_leaves_no_trace_in_the_record(self, stage: Stage, asking: Asking) -> None:
        await asking.ask(1)
        for _ in range(3):
            await stage.store.check()
        assert (await asking.ask(1)).ordinal == 2
