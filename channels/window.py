"""The duplicate window: a message whose answer is not recorded gets the same answer again, and is not counted again.

The record keeps answers for days; a slip and a refusal by the limits leave no record, so they are kept in the cache.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.ports.cache import Cache

WINDOW_S: Final = 600  # providers deliver again within minutes
_KEPT: Final = frozenset({Outcome.MISTYPED, Outcome.THROTTLED})
_OUTCOMES: Final = frozenset(Outcome)


class DuplicateWindow:
    """Answers that left no record, by the engine's message keys.

    Shared by all machines whose cache is one. What the cache loses is judged anew. ``unavailable`` is never kept,
    nor is anything that the record holds; what is kept names nobody and no code.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def find(self, keys: Sequence[bytes]) -> Verdict | None:
        """Return what a message with one of ``keys`` (16 bytes each) was answered lately, or None."""
        for key in keys:
            kept = await self._cache.find(_name(key))
            if kept is not None:
                return _from_bytes(kept)
        return None

    async def note(self, keys: Sequence[bytes], verdict: Verdict) -> None:
        """Keep an answer for :data:`WINDOW_S` seconds where no record does; a refusal until it says to come back."""
        if not keeps(verdict):
            return
        ttl_s = WINDOW_S
        if verdict.outcome is Outcome.THROTTLED:
            # who waits as told and sends the same message again is asking, not repeating
            ttl_s = min(WINDOW_S, max(verdict.retry_after_s, 1))
        kept = _to_bytes(verdict)
        for key in keys:
            await self._cache.put(_name(key), kept, ttl_s=ttl_s)


def keeps(verdict: Verdict) -> bool:
    """Tell whether an answer left no record and is kept here instead."""
    return verdict.outcome in _KEPT


def _name(key: bytes) -> str:
    return f"answer:{key.hex()}"


def _to_bytes(verdict: Verdict) -> bytes:
    return json.dumps(
        {
            "outcome": verdict.outcome,
            "reasons": verdict.reasons,
            "slip_positions": verdict.slip_positions,
            "retry_after_s": verdict.retry_after_s,
            "wording_version": verdict.wording_version,
        }
    ).encode()


def _from_bytes(kept: bytes) -> Verdict | None:
    """Undo :func:`_to_bytes`; None for what another version may have written, which is then judged anew."""
    try:
        fields: dict[str, Any] = json.loads(kept)
        return Verdict(
            outcome=Outcome(fields["outcome"]),
            reasons=tuple(_reason(word) for word in fields["reasons"]),
            slip_positions=tuple(int(place) for place in fields["slip_positions"]),
            retry_after_s=int(fields["retry_after_s"]),
            wording_version=int(fields["wording_version"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _reason(word: str) -> Outcome | Detail:
    return Outcome(word) if word in _OUTCOMES else Detail(word)
