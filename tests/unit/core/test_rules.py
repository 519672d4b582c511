"""The precedence of answers, for every combination of recall, state, counts, thresholds and own repeats."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.model.label import (
    BatchId,
    Brand,
    BrandId,
    CodeBatch,
    Disclosure,
    Label,
    LabelState,
    Product,
    ProductId,
    Programme,
    ProgrammeId,
    Serial,
    Thresholds,
)
from app.core.model.verdict import Detail, First, Outcome, VerificationId
from app.core.model.verification import History
from app.core.rules import Decision, decide, gets_ordinal, policy_number
from tests.fakes.clock import START

O = Outcome  # noqa: E741 - a table reads better so
D = Detail


def label(
    *,
    state: LabelState = LabelState.ACTIVE,
    recalled: bool = False,
    thresholds: Thresholds | None = None,
    disclosure: Disclosure = Disclosure.FULL,
) -> Label:
    brand = Brand(id=BrandId(1), name="青禾", disclosure=disclosure)
    batch = CodeBatch(
        id=BatchId(1),
        product=Product(id=ProductId(1), brand=brand, name="奶粉", thresholds=thresholds),
        programme=None,
        layout=20,
        first_serial=Serial(1),
        last_serial=Serial(9),
        tag_key_id=1,
        url_prefix="",
        issued_at=START,
        recalled=recalled,
    )
    return Label(serial=Serial(1), batch=batch, state=state)


def history(ordinal: int, own: int, *, minutes: int = 60, first_own: bool = False) -> History:
    at = START - timedelta(minutes=minutes)
    return History(
        ordinal=ordinal,
        own_ordinal=own,
        first=First(at=at, channel="web", own=first_own),
        own_first_at=at if own > 1 else None,
    )


def decided(of: Label | None, counted: History | None) -> Decision:
    return decide(label=of, history=counted, recorded_at=START, verification_id=VerificationId(7))


@pytest.mark.parametrize(
    ("ordinal", "own", "thresholds", "outcome", "details"),
    [
        # thresholds count the queries by others and this one; own is 0 for a caller without a token
        (1, 0, (1, 4), O.FIRST, ()),
        (1, 1, (1, 4), O.FIRST, ()),
        (2, 0, (1, 4), O.REPEAT, ()),
        (2, 1, (1, 4), O.REPEAT, ()),
        (2, 2, (1, 4), O.REPEAT_OWN, ()),
        (9, 9, (1, 4), O.REPEAT_OWN, ()),
        (3, 2, (1, 4), O.REPEAT, (D.OWN_BEFORE,)),
        (4, 0, (1, 4), O.REPEAT, ()),
        (5, 0, (1, 4), O.OVER_LIMIT, ()),
        (5, 1, (1, 4), O.OVER_LIMIT, ()),
        (5, 2, (1, 4), O.REPEAT, (D.OWN_BEFORE,)),
        (6, 2, (1, 4), O.OVER_LIMIT, (D.OWN_BEFORE,)),
        (2, 1, (2, 4), O.REPEAT, (D.WITHIN_ALLOWANCE,)),
        (3, 2, (2, 4), O.REPEAT_OWN, ()),
        (3, 1, (2, 4), O.REPEAT, ()),
        (2, 1, (1, 1), O.OVER_LIMIT, ()),
        (2, 2, (1, 1), O.REPEAT_OWN, ()),
        (3, 1, (3, 3), O.REPEAT, (D.WITHIN_ALLOWANCE,)),
        (4, 1, (3, 3), O.OVER_LIMIT, ()),
    ],
)
def test_what_the_counts_say(
    ordinal: int, own: int, thresholds: tuple[int, int], outcome: Outcome, details: tuple[Detail, ...]
) -> None:
    genuine, warn = thresholds
    of = label(thresholds=Thresholds(genuine=genuine, warn=warn))
    decision = decided(of, history(ordinal, own))
    assert (decision.outcome, decision.reasons) == (outcome, details)
    assert decision.verdict.outcome is outcome
    assert decision.policy == policy_number(of.batch.thresholds)


@pytest.mark.parametrize(("minutes", "just"), [(0, True), (10, True), (11, False), (-5, True)])
def test_a_lost_reply_is_told_from_a_repeat_by_ten_minutes(minutes: int, just: bool) -> None:
    decision = decided(label(), history(2, 2, minutes=minutes, first_own=True))
    assert decision.outcome is O.REPEAT_OWN
    assert (Detail.JUST_RECORDED in decision.reasons) is just
    # never where others asked too, and never where the first was another's
    assert Detail.JUST_RECORDED not in decided(label(), history(3, 2, minutes=0, first_own=True)).reasons
    assert Detail.JUST_RECORDED not in decided(label(), history(2, 2, minutes=0)).reasons


_STATES = {
    LabelState.ACTIVE: None,
    LabelState.ISSUED: O.NOT_ACTIVE,
    LabelState.VOIDED: O.VOIDED,
    LabelState.EXPIRED: O.EXPIRED,
}
_COUNTS = [(1, 1, O.FIRST), (2, 2, O.REPEAT_OWN), (2, 1, O.REPEAT), (7, 1, O.OVER_LIMIT)]


@pytest.mark.parametrize("disclosure", Disclosure)
@pytest.mark.parametrize("recalled", [False, True])
@pytest.mark.parametrize("state", LabelState)
def test_the_strongest_fact_is_the_outcome_and_the_lower_ones_are_reasons(
    state: LabelState, recalled: bool, disclosure: Disclosure
) -> None:
    of = label(state=state, recalled=recalled, disclosure=disclosure)
    counted = recalled or state in {LabelState.ACTIVE, LabelState.EXPIRED}
    assert gets_ordinal(of) is counted
    for ordinal, own, by_counts in _COUNTS:
        decision = decided(of, history(ordinal, own) if counted else None)
        expected = [O.RECALLED] if recalled else []
        expected += [told] if (told := _STATES[state]) else []
        expected += [by_counts] if counted else []
        outcomes = [decision.outcome, *(r for r in decision.reasons if isinstance(r, Outcome))]
        assert outcomes == expected
        hidden = disclosure is Disclosure.MINIMAL and expected[0] in {O.VOIDED, O.NOT_ACTIVE}
        verdict = decision.verdict
        assert verdict.outcome is (O.NOT_FOUND if hidden else expected[0])
        assert verdict.ordinal == (ordinal if counted else None)
        assert (verdict.label is None) is hidden
        assert (verdict.recorded_at, verdict.verification_id) == (START, 7)
        if hidden:
            assert verdict == decided(None, None).verdict


def test_a_code_not_in_the_record_has_no_ordinal() -> None:
    assert not gets_ordinal(None)
    decision = decided(None, None)
    assert (decision.outcome, decision.reasons, decision.verdict.ordinal) == (O.NOT_FOUND, (), None)


_RANK = [O.FIRST, O.REPEAT_OWN, O.REPEAT, O.OVER_LIMIT]


@given(
    others=st.integers(0, 20), repeats=st.integers(0, 20), genuine=st.integers(1, 6), more=st.integers(0, 6)
)
def test_own_repeats_never_move_a_threshold(others: int, repeats: int, genuine: int, more: int) -> None:
    of = label(thresholds=Thresholds(genuine=genuine, warn=genuine + more))

    def told(own_before: int) -> Outcome:
        return decided(of, history(others + own_before + 1, own_before + 1)).outcome

    # however often somebody repeats, only the queries by others decide
    assert told(repeats + 1) is told(repeats + 2)
    assert _RANK.index(told(repeats + 1)) <= _RANK.index(told(0)) or told(0) is O.FIRST
    assert (told(0) is O.OVER_LIMIT) is (told(repeats) is O.OVER_LIMIT)


@given(ordinal=st.integers(2, 40), genuine=st.integers(1, 6), more=st.integers(0, 6))
def test_one_more_query_by_another_never_softens_the_answer(ordinal: int, genuine: int, more: int) -> None:
    of = label(thresholds=Thresholds(genuine=genuine, warn=genuine + more))
    first, second = (decided(of, history(ordinal + step, 1)).outcome for step in (0, 1))
    assert _RANK.index(first) <= _RANK.index(second)


def test_the_product_rules_before_the_programme_and_the_programme_before_the_brand() -> None:
    rules = [Thresholds(genuine=n, warn=n) for n in (2, 3, 4)]
    for chosen in itertools.product([True, False], repeat=3):
        by_product, by_programme, by_brand = (
            rule if use else None for rule, use in zip(rules, chosen, strict=True)
        )
        brand = Brand(id=BrandId(1), name="青禾", thresholds=by_brand)
        batch = CodeBatch(
            id=BatchId(1),
            product=Product(id=ProductId(1), brand=brand, name="奶粉", thresholds=by_product),
            programme=Programme(id=ProgrammeId(1), name="质量月", thresholds=by_programme),
            layout=20,
            first_serial=Serial(1),
            last_serial=Serial(9),
            tag_key_id=1,
            url_prefix="",
            issued_at=START,
        )
        assert batch.thresholds == (by_product or by_programme or by_brand or Thresholds(genuine=1, warn=4))


@pytest.mark.parametrize(("genuine", "warn"), [(0, 1), (2, 1), (-1, -1)])
def test_thresholds_that_make_no_sense_are_refused(genuine: int, warn: int) -> None:
    with pytest.raises(ValueError, match="G,W"):
        Thresholds(genuine=genuine, warn=warn)
