"""Values to columns and back: times as microseconds since 1970 UTC, verdicts as JSON, reasons as words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from app.core.model.label import LabelSummary
from app.core.model.verdict import Detail, First, Outcome, Verdict

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Return microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def reasons_to_text(reasons: tuple[Outcome | Detail, ...]) -> str | None:
    """Return the reasons as words with a space between, None for none."""
    return " ".join(reasons) or None


def reasons_from_text(text: str | None) -> tuple[Outcome | Detail, ...]:
    """Undo :func:`reasons_to_text`."""
    return tuple(_reason(word) for word in text.split()) if text else ()


def _reason(word: str) -> Outcome | Detail:
    return Outcome(word) if word in _OUTCOMES else Detail(word)


_OUTCOMES: Final = frozenset(Outcome)


def verdict_to_bytes(verdict: Verdict) -> bytes:
    """Return a verdict as JSON, with every field, names and wording version included."""
    return orjson.dumps(verdict, option=orjson.OPT_NAIVE_UTC)


def verdict_from_bytes(blob: bytes) -> Verdict:
    """Undo :func:`verdict_to_bytes`; equal in every field."""
    fields: dict[str, Any] = orjson.loads(blob)
    first, label = fields["first"], fields["label"]
    fields["outcome"] = Outcome(fields["outcome"])
    fields["reasons"] = tuple(_reason(word) for word in fields["reasons"])
    fields["slip_positions"] = tuple(fields["slip_positions"])
    fields["label"] = LabelSummary(**label) if label else None
    fields["first"] = First(**{**first, "at": datetime.fromisoformat(first["at"])}) if first else None
    for name in ("recorded_at", "own_first_at"):
        fields[name] = datetime.fromisoformat(fields[name]) if fields[name] else None
    return Verdict(**fields)
