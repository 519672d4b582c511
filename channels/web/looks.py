"""How an answer looks: tone (colour) and icon (shape) of every wording; the words say the same again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from channels.wording.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """``tone`` names a colour pair of the style sheet, ``icon`` a shape; ``urgent`` makes the call the main button."""

    tone: str
    icon: str
    urgent: bool = False


LOOKS: Final[Mapping[Variant, Look]] = {
    Variant.FIRST: Look(tone="green", icon="shield"),
    Variant.REPEAT_OWN_MOMENT: Look(tone="green", icon="shield"),
    Variant.REPEAT_OWN: Look(tone="teal", icon="clock-person"),
    Variant.REPEAT_ALLOWED: Look(tone="teal", icon="people"),
    Variant.REPEAT: Look(tone="amber", icon="triangle", urgent=True),
    Variant.REPEAT_OWN_BEFORE: Look(tone="amber", icon="triangle", urgent=True),
    Variant.OVER_LIMIT: Look(tone="red", icon="octagon-many", urgent=True),
    Variant.OVER_LIMIT_OWN_BEFORE: Look(tone="red", icon="octagon-many", urgent=True),
    Variant.RECALLED: Look(tone="red", icon="octagon-return", urgent=True),
    Variant.VOIDED: Look(tone="red", icon="octagon-cross", urgent=True),
    Variant.NOT_FOUND: Look(tone="brown", icon="magnifier"),
    Variant.MISTYPED_NO_DIGITS: Look(tone="slate", icon="pencil"),
    Variant.MISTYPED_WRONG_LENGTH: Look(tone="slate", icon="pencil"),
    Variant.MISTYPED_SLIP: Look(tone="slate", icon="pencil"),
    Variant.MISTYPED_SLIP_PAIR: Look(tone="slate", icon="pencil"),
    Variant.MISTYPED_UNLOCATED: Look(tone="slate", icon="pencil"),
    Variant.NOT_ACTIVE: Look(tone="slate", icon="calendar", urgent=True),
    Variant.EXPIRED: Look(tone="slate", icon="hourglass"),
    Variant.THROTTLED: Look(tone="slate", icon="pause"),
    Variant.UNAVAILABLE: Look(tone="slate", icon="cloud"),
}
