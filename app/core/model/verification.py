"""One query of a code: the request, the draft that is to be recorded, and the recorded fact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.core.model.caller import Caller
from app.core.model.code import Code
from app.core.model.label import BrandId, Label, LabelSummary
from app.core.model.value import value
from app.core.model.verdict import Detail, First, Outcome, Verdict, VerificationId


@value
class VerificationRequest:
    """What a channel asks of the engine.

    ``message_id`` is the provider's id of the message (a retry with the same channel, account and id is not a
    query), ``alias_id`` a second id of the same message; ``scope`` names the brands this account may answer for, None
    for all; ``other_readings`` are further codes the same text may mean, at most two, tried in order where the first
    is not authentic.
    """

    code: Code
    caller: Caller
    channel: str
    account: str = ""
    message_id: str | None = None
    scope: frozenset[BrandId] | None = None
    locale: str = "zh-CN"
    received_at: datetime
    place: str = ""
    other_readings: tuple[Code, ...] = ()
    alias_id: str | None = None


@value
class Draft:
    """A verification about to be recorded. ``label`` is None where the code is not in the record.

    ``code_digest`` (16 bytes, keyed) is kept only then, so that wrong codes can be counted without storing
    them. ``message_key`` (16 bytes, keyed) is None where no message id came; ``alias_key`` is that of the second id.
    ``stand_in`` is weighed where there is no label, so that the time tells nothing of labels that their brands hide;
    it is never recorded.
    """

    label: Label | None
    code_digest: bytes | None
    caller: Caller
    channel: str
    place: str
    received_at: datetime
    message_key: bytes | None = None
    alias_key: bytes | None = None
    stand_in: Label | None = None


@value
class History:
    """What was recorded of a label before and with this query.

    ``ordinal`` and ``own_ordinal`` include the query being answered; ``own_ordinal`` is 0 for a caller without
    a token. ``own_first_at`` is this caller's first query, None where this is it.
    """

    ordinal: int
    own_ordinal: int
    first: First
    own_first_at: datetime | None = None

    @property
    def seen_by_others(self) -> int:
        """Queries by other callers; an unknown caller counts every earlier query as another's."""
        return self.ordinal - (self.own_ordinal or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The recorded fact, append-only; it exists before any answer leaves.

    ``outcome`` is the truth, also where a brand's disclosure announced less.
    """

    id: VerificationId
    recorded_at: datetime
    channel: str
    outcome: Outcome
    reasons: tuple[Outcome | Detail, ...] = ()
    serial: int | None = None
    code_digest: bytes | None = None
    ordinal: int | None = None
    place: str = ""
    policy: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A recorded verification read back for a result page.

    ``asked_by_reader`` is true only for the caller who asked. ``label`` is None where nothing was recognised or
    the brand does not disclose it; ``announced`` is the outcome the caller was told.
    """

    verification: Verification
    announced: Outcome
    asked_by_reader: bool
    label: LabelSummary | None = None
    ordinal: int | None = None
    first: First | None = None
    own_first_at: datetime | None = None
    reasons: tuple[Outcome | Detail, ...] = ()

    def as_announced(self) -> Verdict:
        """Return the verdict as it was announced, as far as it was read back."""
        return Verdict(
            outcome=self.announced,
            reasons=self.reasons,
            label=self.label,
            ordinal=self.ordinal,
            first=self.first,
            own_first_at=self.own_first_at,
            recorded_at=self.verification.recorded_at,
            verification_id=self.verification.id,
        )
