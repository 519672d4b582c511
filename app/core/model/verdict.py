"""The answer: one closed list of outcomes, the finer details, and the verdict that every channel translates.

A verdict knows no language and no channel. Names are kept in it, so a stored verdict reads the same later.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from app.core.model.label import LabelSummary
from app.core.model.value import value

VerificationId = NewType("VerificationId", int)
WORDING_VERSION: Final = 1


class Outcome(StrEnum):
    """Every answer there is. The order of precedence is the order of ``app.core.rules``."""

    FIRST = "first"
    REPEAT_OWN = "repeat_own"
    REPEAT = "repeat"
    OVER_LIMIT = "over_limit"
    NOT_FOUND = "not_found"
    MISTYPED = "mistyped"
    NOT_ACTIVE = "not_active"
    VOIDED = "voided"
    RECALLED = "recalled"
    EXPIRED = "expired"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"

    __hash__ = str.__hash__  # Enum hashes in Python; these stand in sets and tables on the hot path


class Detail(StrEnum):
    """A finer fact beside the outcome; outcomes that also applied stand in ``reasons`` themselves."""

    JUST_RECORDED = (
        "just_recorded"  # the caller's own check of a moment ago: a lost reply, worded as the first
    )
    OWN_BEFORE = "own_before"  # others asked, and this caller had asked before
    WITHIN_ALLOWANCE = "within_allowance"  # others asked, as often as the brand's rule calls normal
    NO_DIGITS = "no_digits"
    WRONG_LENGTH = "wrong_length"
    SLIP_LOCATED = "slip_located"
    SLIP_UNLOCATED = "slip_unlocated"
    KEY_MISSING = "key_missing"
    NOT_RECORDED = "not_recorded"
    BUSY = "busy"
    DEADLINE = "deadline"

    __hash__ = str.__hash__  # see Outcome


@value
class First:
    """The first verification of a label: aware UTC time, channel, coarse place or "", whether it was this caller's."""

    at: datetime
    channel: str
    place: str = ""
    own: bool = False


@value
class Verdict:
    """The final answer to one request.

    ``ordinal`` counts every recorded query of the label, this one included; None where none was given.
    ``verification_id`` is None for answers that record nothing. ``slip_positions`` are 1-based.
    ``retry_after_s`` goes with throttled and unavailable.
    """

    outcome: Outcome
    reasons: tuple[Outcome | Detail, ...] = ()
    label: LabelSummary | None = None
    ordinal: int | None = None
    first: First | None = None
    own_first_at: datetime | None = None
    slip_positions: tuple[int, ...] = ()
    recorded_at: datetime | None = None
    verification_id: VerificationId | None = None
    policy: int = 0
    retry_after_s: int = 0
    wording_version: int = WORDING_VERSION

    @property
    def wrong_code(self) -> bool:
        """True where the answer counts against the caller's allowance of wrong codes."""
        return self.outcome is Outcome.NOT_FOUND or Detail.SLIP_UNLOCATED in self.reasons
