"""Which words an answer takes: an outcome and, where it changes what a shopper should do, its finer detail."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from app.core.model.verdict import Detail, Outcome, Verdict


class Variant(StrEnum):
    """Every wording there is; each has all forms in every locale. An outcome without details is one variant."""

    FIRST = "first"
    REPEAT_OWN = "repeat_own"
    REPEAT_OWN_MOMENT = "repeat_own_moment"
    REPEAT = "repeat"
    REPEAT_OWN_BEFORE = "repeat_own_before"
    REPEAT_ALLOWED = "repeat_allowed"
    OVER_LIMIT = "over_limit"
    OVER_LIMIT_OWN_BEFORE = "over_limit_own_before"
    NOT_FOUND = "not_found"
    MISTYPED_NO_DIGITS = "mistyped_no_digits"
    MISTYPED_WRONG_LENGTH = "mistyped_wrong_length"
    MISTYPED_SLIP = "mistyped_slip"
    MISTYPED_SLIP_PAIR = "mistyped_slip_pair"
    MISTYPED_UNLOCATED = "mistyped_unlocated"
    NOT_ACTIVE = "not_active"
    VOIDED = "voided"
    RECALLED = "recalled"
    EXPIRED = "expired"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"


_DETAILED: Final = {
    (Outcome.REPEAT_OWN, Detail.JUST_RECORDED): Variant.REPEAT_OWN_MOMENT,
    (Outcome.REPEAT, Detail.OWN_BEFORE): Variant.REPEAT_OWN_BEFORE,
    (Outcome.REPEAT, Detail.WITHIN_ALLOWANCE): Variant.REPEAT_ALLOWED,
    (Outcome.OVER_LIMIT, Detail.OWN_BEFORE): Variant.OVER_LIMIT_OWN_BEFORE,
    (Outcome.MISTYPED, Detail.NO_DIGITS): Variant.MISTYPED_NO_DIGITS,
    (Outcome.MISTYPED, Detail.WRONG_LENGTH): Variant.MISTYPED_WRONG_LENGTH,
    (Outcome.MISTYPED, Detail.SLIP_UNLOCATED): Variant.MISTYPED_UNLOCATED,
}
_PLAIN: Final = {
    outcome: Variant.MISTYPED_UNLOCATED if outcome is Outcome.MISTYPED else Variant(outcome.value)
    for outcome in Outcome
}


def variant_of(verdict: Verdict) -> Variant:
    """Return the wording of ``verdict``. Reasons that change no words are passed over."""
    if verdict.outcome is Outcome.FIRST:  # the hot one
        return Variant.FIRST
    if verdict.slip_positions:
        return Variant.MISTYPED_SLIP if len(verdict.slip_positions) == 1 else Variant.MISTYPED_SLIP_PAIR
    for reason in verdict.reasons:
        if isinstance(reason, Detail) and (variant := _DETAILED.get((verdict.outcome, reason))):
            return variant
    return _PLAIN[verdict.outcome]
