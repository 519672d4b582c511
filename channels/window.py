"""The duplicate window: a message whose answer is not recorded gets the same answer again, and is not counted again.

The record keeps answers for days; a slip and a refusal by the limits leave no record, so they are kept in the cache.
So is the way by which a message is answered, for a machine that cannot ask the record at that moment.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.ports.cache import Cache

T = TypeVar("T")

WINDOW_S: Final = 600  # providers deliver again within minutes
_UNSURE_S: Final = 30.0  # longer than any store takes to commit or to fail
_KEPT: Final = frozenset({Outcome.MISTYPED, Outcome.THROTTLED})
_OUTCOMES: Final = frozenset(Outcome)


class Way(StrEnum):
    """How a message's answer goes out: in the response to it, or by itself."""

    RESPONSE = "response"
    PUSH = "push"


_OTHER: Final = {Way.RESPONSE: Way.PUSH, Way.PUSH: Way.RESPONSE}


class DuplicateWindow:
    """Answers that left no record, by the engine's message keys.

    Shared by all machines whose cache is one. What the cache loses is judged anew. ``unavailable`` is never kept,
    nor is anything that the record holds; what is kept names nobody and no code.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    async def find(self, keys: Sequence[bytes]) -> Verdict | None:
        """Return what a message with one of ``keys`` (16 bytes each) was answered lately, or None."""
        found = await together(self._cache.find(_name(key)) for key in keys)
        kept = next((kept for kept in found if kept is not None), None)
        return None if kept is None else _from_bytes(kept)

    async def note(self, keys: Sequence[bytes], verdict: Verdict) -> None:
        """Keep an answer for :data:`WINDOW_S` seconds where no record does; a refusal until it says to come back."""
        if not keeps(verdict):
            return
        ttl_s = WINDOW_S
        if verdict.outcome is Outcome.THROTTLED:
            # who waits as told and sends the same message again is asking, not repeating
            ttl_s = min(WINDOW_S, max(verdict.retry_after_s, 1))
        kept = _to_bytes(verdict)
        await together(self._cache.put(_name(key), kept, ttl_s=ttl_s) for key in keys)

    async def take_way(self, keys: Sequence[bytes], way: Way) -> bool:
        """Tell all machines that a message is answered by ``way``; False where another answers it the other way.

        A machine that cannot see the record must not answer by itself what another one's response has said. Of two
        that begin at one moment neither may go on. A push holds for half a minute, unless :meth:`hold_push` prolongs
        it: until then nobody knows whether its commit will come.
        """
        ttl_s = WINDOW_S if way is Way.RESPONSE else _UNSURE_S
        claims = await together(self._cache.claim(_way_name(key, way), ttl_s=ttl_s) for key in keys)
        others = await together(self._cache.find(_way_name(key, _OTHER[way])) for key in keys)
        if all(other is None for other in others):
            return True
        await self.leave_way([key for key, fresh in zip(keys, claims, strict=True) if fresh], way)
        return False

    async def hold_push(self, keys: Sequence[bytes]) -> None:
        """Tell that a message's answer certainly goes out by itself."""
        await together(self._cache.put(_way_name(key, Way.PUSH), b"1", ttl_s=WINDOW_S) for key in keys)

    async def leave_way(self, keys: Sequence[bytes], way: Way) -> None:
        """Take back what :meth:`take_way` told, because nothing was answered."""
        await together(self._cache.drop(_way_name(key, way)) for key in keys)


async def together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Return what the calls do, in order. Those that go to Redis share a round trip: it may be slow."""
    several = list(calls)
    return [await one for one in several] if len(several) < 2 else list(await asyncio.gather(*several))


def keeps(verdict: Verdict) -> bool:
    """Tell whether an answer left no record and is kept here instead."""
    return verdict.outcome in _KEPT


def _name(key: bytes) -> str:
    return f"answer:{key.hex()}"


def _way_name(key: bytes, way: Way) -> str:
    return f"way:{way}:{key.hex()}"


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
