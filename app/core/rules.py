"""decide(): a label, its history and the brand's rule become a verdict. Pure: no I/O, no clock.

Precedence among what a draft can be: recalled > voided > not_active > expired > over_limit > others' repeats >
own repeat > first; every lower fact goes to ``reasons`` (service rules, section 1).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, TypeGuard, cast

from app.core.model.label import Disclosure, Label, LabelState, Thresholds
from app.core.model.value import value
from app.core.model.verdict import Detail, Outcome, Verdict, VerificationId
from app.core.model.verification import History

RULES_VERSION: Final = 1
MOMENT: Final = timedelta(minutes=10)

_STATE_OUTCOMES: Final = {
    LabelState.VOIDED: Outcome.VOIDED,
    LabelState.ISSUED: Outcome.NOT_ACTIVE,
    LabelState.EXPIRED: Outcome.EXPIRED,
}
_WITHOUT_ORDINAL: Final = frozenset({Outcome.NOT_ACTIVE, Outcome.VOIDED, Outcome.NOT_FOUND})
UNDISCLOSED: Final = frozenset({Outcome.NOT_ACTIVE, Outcome.VOIDED})


@value
class Decision:
    """``outcome``, ``reasons`` and ``policy`` are the truth that is recorded; ``verdict`` is what is announced."""

    outcome: Outcome
    reasons: tuple[Outcome | Detail, ...]
    policy: int
    verdict: Verdict


def label_outcomes(label: Label | None) -> tuple[Outcome, ...]:
    """Return what the label's own state says, strongest first; empty for a label in circulation."""
    if label is None:
        return (Outcome.NOT_FOUND,)
    recalled = label.batch.recalled
    if label.state is LabelState.ACTIVE and not recalled:  # nearly every query
        return ()
    state = _STATE_OUTCOMES.get(label.state)
    if recalled:
        return (Outcome.RECALLED, state) if state else (Outcome.RECALLED,)
    return (state,) if state else ()


def gets_ordinal(label: Label | None) -> TypeGuard[Label]:
    """Tell whether a query of this label is counted: active, recalled and expired labels are."""
    if label is None:
        return False
    outcomes = label_outcomes(label)
    return not outcomes or outcomes[0] not in _WITHOUT_ORDINAL


def hides(label: Label | None) -> bool:
    """Tell whether the label's brand has it answered like a code that is not in the record."""
    if label is None or label.batch.product.brand.disclosure is not Disclosure.MINIMAL:
        return False
    outcomes = label_outcomes(label)
    return bool(outcomes) and outcomes[0] in UNDISCLOSED


def announced_reasons(
    reasons: tuple[Outcome | Detail, ...], disclosure: Disclosure
) -> tuple[Outcome | Detail, ...]:
    """Return the reasons that may be told: a brand that hides a state hides it beside a recall too."""
    if disclosure is not Disclosure.MINIMAL:
        return reasons
    return tuple(reason for reason in reasons if reason not in UNDISCLOSED)


def policy_number(thresholds: Thresholds) -> int:
    """Pack the rules' version and the thresholds into one integer that a recorded fact keeps."""
    return RULES_VERSION << 48 | thresholds.genuine << 24 | thresholds.warn


def decide(
    *,
    label: Label | None,
    history: History | None,
    recorded_at: datetime,
    verification_id: VerificationId,
    stand_in: Label | None = None,
) -> Decision:
    """Return the decision on one recorded query. ``history`` is None exactly where no ordinal was given.

    ``stand_in``, a label that its brand hides, is weighed where there is no label, which takes the same time and
    changes nothing.
    """
    weighed = label if label is not None else stand_in
    if weighed is None:
        verdict = Verdict(outcome=Outcome.NOT_FOUND, recorded_at=recorded_at, verification_id=verification_id)
        return Decision(outcome=Outcome.NOT_FOUND, reasons=(), policy=0, verdict=verdict)
    batch = weighed.batch
    thresholds = batch.thresholds
    policy = policy_number(thresholds)
    reasons: tuple[Outcome | Detail, ...] = label_outcomes(weighed)
    if history is not None:
        reasons += _count_outcomes(history, thresholds, recorded_at)
    outcome, reasons = cast(Outcome, reasons[0]), reasons[1:]
    disclosure = batch.product.brand.disclosure
    if outcome in UNDISCLOSED and disclosure is Disclosure.MINIMAL:
        if label is None:
            outcome, policy = Outcome.NOT_FOUND, 0
        verdict = Verdict(outcome=Outcome.NOT_FOUND, recorded_at=recorded_at, verification_id=verification_id)
        return Decision(outcome=outcome, reasons=reasons, policy=policy, verdict=verdict)
    verdict = Verdict(
        outcome=outcome,
        reasons=announced_reasons(reasons, disclosure),
        label=batch.summary,
        ordinal=history.ordinal if history else None,
        first=history.first if history else None,
        own_first_at=history.own_first_at if history else None,
        recorded_at=recorded_at,
        verification_id=verification_id,
        policy=policy,
    )
    return Decision(outcome=outcome, reasons=reasons, policy=policy, verdict=verdict)


def _count_outcomes(history: History, thresholds: Thresholds, now: datetime) -> tuple[Outcome | Detail, ...]:
    """Return what the counts say. Thresholds count queries by others plus this one; the ordinal counts all."""
    if history.ordinal == 1:
        return (Outcome.FIRST,)
    own_before = history.own_ordinal > 1
    others = history.seen_by_others
    if others + 1 > thresholds.warn:
        return (Outcome.OVER_LIMIT, Detail.OWN_BEFORE) if own_before else (Outcome.OVER_LIMIT,)
    if others + 1 > thresholds.genuine:
        return (Outcome.REPEAT, Detail.OWN_BEFORE) if own_before else (Outcome.REPEAT,)
    if not own_before:
        return (Outcome.REPEAT, Detail.WITHIN_ALLOWANCE)
    if others == 0 and history.first.own and now - history.first.at <= MOMENT:
        return (Outcome.REPEAT_OWN, Detail.JUST_RECORDED)
    return (Outcome.REPEAT_OWN,)
