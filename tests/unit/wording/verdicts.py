"""A verdict for every wording, at its longest: names, counts and places as long as the rules allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.core.model.label import LabelSummary
from app.core.model.verdict import Detail, First, Outcome, Verdict, VerificationId
from channels.wording.variants import Variant

AT = datetime(2026, 3, 5, 1, 12, tzinfo=UTC)
LONGEST_LABEL = LabelSummary(
    brand="内蒙古呼伦贝尔草原牧场乳业股份有限公司",
    brand_en="Hulunbuir Grassland Dairy Pastures Company Limited",
    brand_short="呼伦贝尔草原牧场乳业",
    service_line="+86 400-800-12345",
    product="海岸婴儿配方奶粉 800 克",
    product_en="Coast infant formula 800 g",
    programme="质量月专用标识",
    programme_en="Quality Month label",
)
LABEL = LabelSummary(
    brand="海岸牧场",
    brand_en="Coast",
    brand_short="海岸",
    service_line="400-800-1234",
    product="奶粉",
    product_en="Milk",
)

_KINDS: dict[Variant, tuple[Outcome, tuple[Detail, ...]]] = {
    Variant.FIRST: (Outcome.FIRST, ()),
    Variant.REPEAT_OWN: (Outcome.REPEAT_OWN, ()),
    Variant.REPEAT_OWN_MOMENT: (Outcome.REPEAT_OWN, (Detail.JUST_RECORDED,)),
    Variant.REPEAT: (Outcome.REPEAT, ()),
    Variant.REPEAT_OWN_BEFORE: (Outcome.REPEAT, (Detail.OWN_BEFORE,)),
    Variant.REPEAT_ALLOWED: (Outcome.REPEAT, (Detail.WITHIN_ALLOWANCE,)),
    Variant.OVER_LIMIT: (Outcome.OVER_LIMIT, ()),
    Variant.OVER_LIMIT_OWN_BEFORE: (Outcome.OVER_LIMIT, (Detail.OWN_BEFORE,)),
    Variant.NOT_FOUND: (Outcome.NOT_FOUND, ()),
    Variant.MISTYPED_NO_DIGITS: (Outcome.MISTYPED, (Detail.NO_DIGITS,)),
    Variant.MISTYPED_WRONG_LENGTH: (Outcome.MISTYPED, (Detail.WRONG_LENGTH,)),
    Variant.MISTYPED_SLIP: (Outcome.MISTYPED, (Detail.SLIP_LOCATED,)),
    Variant.MISTYPED_SLIP_PAIR: (Outcome.MISTYPED, (Detail.SLIP_LOCATED,)),
    Variant.MISTYPED_UNLOCATED: (Outcome.MISTYPED, (Detail.SLIP_UNLOCATED,)),
    Variant.NOT_ACTIVE: (Outcome.NOT_ACTIVE, ()),
    Variant.VOIDED: (Outcome.VOIDED, ()),
    Variant.RECALLED: (Outcome.RECALLED, ()),
    Variant.EXPIRED: (Outcome.EXPIRED, ()),
    Variant.THROTTLED: (Outcome.THROTTLED, ()),
    Variant.UNAVAILABLE: (Outcome.UNAVAILABLE, (Detail.DEADLINE,)),
}
_COUNTED = frozenset(
    {Outcome.FIRST, Outcome.REPEAT_OWN, Outcome.REPEAT, Outcome.OVER_LIMIT, Outcome.RECALLED, Outcome.EXPIRED}
)
_UNLABELLED = frozenset({Outcome.NOT_FOUND, Outcome.MISTYPED, Outcome.THROTTLED, Outcome.UNAVAILABLE})
_UNRECORDED = _UNLABELLED - {Outcome.NOT_FOUND}


def verdict_of(
    variant: Variant,
    *,
    label: LabelSummary = LABEL,
    place: str = "内蒙古",
    channel: str = "sms",
    ordinal: int = 3,
) -> Verdict:
    """Return a verdict that takes the wording ``variant``."""
    outcome, reasons = _KINDS[variant]
    counted = outcome in _COUNTED
    if outcome is Outcome.FIRST:
        ordinal = 1
    own = outcome in {Outcome.FIRST, Outcome.REPEAT_OWN}
    positions = {Variant.MISTYPED_SLIP: (7,), Variant.MISTYPED_SLIP_PAIR: (7, 8)}.get(variant, ())
    recorded = outcome not in _UNRECORDED
    return Verdict(
        outcome=outcome,
        reasons=reasons,
        label=None if outcome in _UNLABELLED else label,
        ordinal=ordinal if counted else None,
        first=First(at=AT, channel=channel, place=place, own=own) if counted else None,
        own_first_at=AT + timedelta(days=9)
        if outcome is Outcome.REPEAT_OWN or Detail.OWN_BEFORE in reasons
        else None,
        slip_positions=positions,
        recorded_at=AT + timedelta(days=260) if recorded else None,
        verification_id=VerificationId(77) if recorded else None,
        retry_after_s=90 if outcome in {Outcome.THROTTLED, Outcome.UNAVAILABLE} else 0,
    )
