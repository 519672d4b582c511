"""A batch of drafts as the arrays of ``record_verifications``, and what that returns as verdicts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from app.adapters.storage.rows import from_micros, reasons_from_text, reasons_to_text, to_micros
from app.core.errors import StoreUnavailable
from app.core.model.catalogue import Catalogue
from app.core.model.label import Disclosure, Label, LabelSummary
from app.core.model.verdict import WORDING_VERSION, First, Outcome, Verdict, VerificationId
from app.core.model.verification import Draft, History
from app.core.rules import (
    UNDISCLOSED,
    announced_reasons,
    decide,
    gets_ordinal,
    label_outcomes,
    policy_number,
)

# A commit whose wait for its standby was cut short is seen by everybody, and may be lost with the primary. Whoever
# tells of it writes a few bytes behind it, so that this commit waits for both; without a standby nothing is written.
_CONFIRM: Final = (
    "current_setting('synchronous_standby_names') <> '' THEN pg_logical_emit_message(TRUE, 'yanzhen', '')"
)
RECORD: Final = (
    f"SELECT *, CASE WHEN draft IS NULL AND {_CONFIRM} END FROM record_verifications"  # noqa: S608 - constants
    "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)"
)
ANSWERS: Final = f"SELECT *, CASE WHEN {_CONFIRM} END FROM stored_answers($1)"  # noqa: S608 - constants
_REFERENCE_BITS: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """``messages`` holds the first draft of each message, ``message_of`` the place in it of each draft.

    ``keys`` are the known ids of all messages, each with the place of its message.
    """

    drafts: Sequence[Draft]
    messages: Sequence[Draft]
    message_of: Sequence[int]
    keys: Mapping[bytes, int]

    @staticmethod
    def of(drafts: Sequence[Draft]) -> Batch:
        """Fold drafts that share a message id with an earlier one into that one."""
        keys: dict[bytes, int] = {}
        messages: list[Draft] = []
        message_of: list[int] = []
        for draft in drafts:
            if draft.message_key is None and draft.alias_key is None:  # as nearly every query over the web
                message_of.append(len(messages))
                messages.append(draft)
                continue
            own = [key for key in (draft.message_key, draft.alias_key) if key is not None]
            place = next((keys[key] for key in own if key in keys), None)
            if place is None:
                place = len(messages)
                messages.append(draft)
            for key in own:
                keys.setdefault(key, place)
            message_of.append(place)
        return Batch(drafts=drafts, messages=messages, message_of=message_of, keys=keys)

    def values(self, catalogue: Catalogue) -> list[Any]:
        """Return the parameters of ``RECORD``."""
        columns = list(zip(*map(_columns, self.messages), strict=True)) or [()] * 11
        callers = {
            draft.caller.token: draft for draft in reversed(self.messages) if draft.caller.token is not None
        }
        return [
            catalogue.version,
            *columns,
            list(callers),
            [draft.caller.key_id for draft in callers.values()],
            [secrets.randbits(_REFERENCE_BITS) for _ in callers],
            [to_micros(draft.received_at) for draft in callers.values()],
            list(self.keys),
            [place + 1 for place in self.keys.values()],
            [_constants(self.messages[place].label) for place in self.keys.values()],
        ]

    def verdicts(self, rows: Iterable[Any]) -> list[Verdict]:
        """Return the verdict of each draft from the rows that ``RECORD`` returned."""
        new: dict[int, Verdict] = {}
        told: dict[bytes | None, Verdict] = {}
        for row in rows:
            if row["draft"] is not None:
                place = row["draft"] - 1
                new[place] = _new_verdict(self.messages[place], row)
            else:
                told[row["key"]] = stored_verdict(row)
        if not told:
            return [new[place] for place in self.message_of]
        return [
            told.get(draft.message_key) or told.get(draft.alias_key) or new[place]
            for draft, place in zip(self.drafts, self.message_of, strict=True)
        ]


def stored_verdict(row: Any) -> Verdict:  # noqa: ANN401 - the driver's row
    """Return the verdict of a message that was told before, equal in every field to what it was told."""
    constants: dict[str, Any] = orjson.loads(row["constants"])
    outcome, reasons = Outcome(row["outcome"]), reasons_from_text(row["reasons"])
    label, disclosure = constants["label"], Disclosure(constants["disclosure"])
    wording_version: int = constants["wording_version"]
    recorded_at, verification_id = from_micros(row["at"]), VerificationId(row["id"])
    if label is None or (outcome in UNDISCLOSED and disclosure is Disclosure.MINIMAL):
        return Verdict(
            outcome=Outcome.NOT_FOUND,
            recorded_at=recorded_at,
            verification_id=verification_id,
            wording_version=wording_version,
        )
    own_first_at = row["own_first_at"]
    return Verdict(
        outcome=outcome,
        reasons=announced_reasons(reasons, disclosure),
        label=LabelSummary(**label),
        ordinal=row["ordinal"],
        first=first_of(row),
        own_first_at=from_micros(own_first_at) if own_first_at is not None else None,
        recorded_at=recorded_at,
        verification_id=verification_id,
        policy=row["policy"],
        wording_version=wording_version,
    )


def first_of(row: Any) -> First | None:  # noqa: ANN401 - the driver's row
    """Return the first verification of the label as the caller of this fact may see it; None without an ordinal."""
    if row["ordinal"] is None:
        return None
    return First(
        at=from_micros(row["first_at"]),
        channel=row["first_channel"],
        place=row["first_place"] or "",
        own=row["first_own"],
    )


def _new_verdict(draft: Draft, row: Any) -> Verdict:  # noqa: ANN401 - the driver's row
    """Decide on what was recorded, as every store does; the outcome that was recorded must be the same."""
    history, first = None, first_of(row)
    if first is not None:
        own_first_at = row["own_first_at"]
        history = History(
            ordinal=row["ordinal"],
            own_ordinal=row["own_ordinal"],
            first=first,
            own_first_at=from_micros(own_first_at) if own_first_at is not None else None,
        )
    decision = decide(
        label=draft.label,
        history=history,
        recorded_at=draft.received_at,
        verification_id=VerificationId(row["id"]),
        stand_in=draft.stand_in,
    )
    if (decision.outcome, reasons_to_text(decision.reasons)) != (row["outcome"], row["reasons"]):
        raise StoreUnavailable(
            f"The database recorded {row['outcome']} where the rules say {decision.outcome}. Install the release that"
            " fits the database, and report this."
        )
    return decision.verdict


def _columns(draft: Draft) -> tuple[Any, ...]:
    """Return what one draft puts into the arrays p_at to p_warn."""
    label = draft.label
    weighed = label if label is not None else draft.stand_in
    thresholds = weighed.batch.thresholds if weighed is not None else None
    policy, outcomes = policy_number(thresholds) if thresholds is not None else 0, label_outcomes(weighed)
    if label is None:  # it was weighed for the time it takes
        thresholds, policy, outcomes = None, 0, label_outcomes(None)
    return (
        to_micros(draft.received_at),
        label.serial if label is not None else None,
        gets_ordinal(weighed) and label is not None,
        draft.channel,
        draft.place or None,
        draft.caller.token,
        draft.code_digest,
        policy,
        reasons_to_text(outcomes),
        thresholds.genuine if thresholds is not None else 0,
        thresholds.warn if thresholds is not None else 0,
    )


def _constants(label: Label | None) -> bytes:
    """Return what of a verdict is not in the record: names, disclosure and wording version of the moment."""
    disclosure = label.batch.product.brand.disclosure if label is not None else Disclosure.FULL
    return orjson.dumps(
        {
            "label": label.batch.summary if label is not None else None,
            "disclosure": disclosure,
            "wording_version": WORDING_VERSION,
        }
    )
