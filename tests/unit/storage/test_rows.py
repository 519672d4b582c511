"""Values survive their way through the columns, whole."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.adapters.storage.rows import (
    from_micros,
    reasons_from_text,
    reasons_to_text,
    to_micros,
    verdict_from_bytes,
    verdict_to_bytes,
)
from app.core.model.label import LabelSummary
from app.core.model.verdict import Detail, First, Outcome, Verdict, VerificationId

_TIMES = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
_REASONS = st.lists(st.one_of(st.sampled_from(Outcome), st.sampled_from(Detail)), max_size=4).map(tuple)
_VERDICTS = st.builds(
    Verdict,
    outcome=st.sampled_from(Outcome),
    reasons=_REASONS,
    label=st.none()
    | st.builds(
        LabelSummary, brand=_TEXTS, product=_TEXTS, programme=_TEXTS, brand_en=_TEXTS, picture_url=_TEXTS
    ),
    ordinal=st.none() | st.integers(1, 2**62),
    first=st.none() | st.builds(First, at=_TIMES, channel=_TEXTS, place=_TEXTS, own=st.booleans()),
    own_first_at=st.none() | _TIMES,
    slip_positions=st.lists(st.integers(1, 24), max_size=2).map(tuple),
    recorded_at=st.none() | _TIMES,
    verification_id=st.none() | st.integers(1, 2**62).map(VerificationId),
    policy=st.integers(0, 2**62),
    retry_after_s=st.integers(0, 100),
)


@given(_VERDICTS)
def test_a_stored_verdict_is_equal_in_every_field(verdict: Verdict) -> None:
    read = verdict_from_bytes(verdict_to_bytes(verdict))
    assert read == verdict
    assert [type(reason) for reason in read.reasons] == [type(reason) for reason in verdict.reasons]
    assert verdict_to_bytes(read) == verdict_to_bytes(verdict)


def test_a_verdict_stored_before_products_had_pictures_still_reads() -> None:
    label = LabelSummary(brand="海岸牧场", product="奶粉", gtin="06901234567892")
    verdict = Verdict(
        outcome=Outcome.FIRST, label=label, ordinal=1, recorded_at=datetime(2026, 3, 5, tzinfo=UTC)
    )
    stored = verdict_to_bytes(verdict)
    before = stored.replace(b'"picture_url":"",', b"")
    assert before != stored
    assert verdict_from_bytes(before) == verdict


@given(_TIMES)
def test_a_time_keeps_its_microseconds(at: datetime) -> None:
    assert from_micros(to_micros(at)) == at


@given(_REASONS)
def test_reasons_keep_their_order(reasons: tuple[Outcome | Detail, ...]) -> None:
    assert reasons_from_text(reasons_to_text(reasons)) == reasons
