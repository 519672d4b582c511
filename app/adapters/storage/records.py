"""Recorded facts read back: rows to values, and what a reader may see of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from app.adapters.storage.rows import from_micros, reasons_from_text
from app.core.model.catalogue import Catalogue
from app.core.model.label import Disclosure
from app.core.model.verdict import Outcome, VerificationId
from app.core.model.verification import Record, Verification
from app.core.rules import UNDISCLOSED, announced_reasons

FACT_COLUMNS: Final = "id, at, serial, ordinal, outcome, reasons, channel, place, digest, policy"
LISTED: Final = "wechat"  # the channel whose callers read a list of their own checks


def verification_of(fact: Sequence[Any]) -> Verification:
    """Return the fact of a row that begins with ``FACT_COLUMNS``."""
    number, at, serial, ordinal, outcome, reasons, channel, place, digest, policy = fact[:10]
    return Verification(
        id=VerificationId(number),
        recorded_at=from_micros(at),
        channel=channel,
        outcome=Outcome(outcome),
        reasons=reasons_from_text(reasons),
        serial=serial,
        code_digest=digest,
        ordinal=ordinal,
        place=place or "",
        policy=policy,
    )


def record_of(verification: Verification, catalogue: Catalogue, *, asked_by_reader: bool) -> Record:
    """Return a fact as its reader may see it, but for what the label's history holds."""
    batch = catalogue.batch_of(verification.serial) if verification.serial is not None else None
    disclosure = batch.product.brand.disclosure if batch is not None else Disclosure.FULL
    if batch is None or (disclosure is Disclosure.MINIMAL and verification.outcome in UNDISCLOSED):
        return Record(verification=verification, announced=Outcome.NOT_FOUND, asked_by_reader=asked_by_reader)
    return Record(
        verification=verification,
        announced=verification.outcome,
        asked_by_reader=asked_by_reader,
        label=batch.summary,
        ordinal=verification.ordinal,
        reasons=announced_reasons(verification.reasons, disclosure),
    )
