"""Limits that all machines share, in Redis; while it is away, stricter ones of this process, never none.

Every query is counted in this process as well, and what it granted alone is owed to Redis, so one that comes and goes
opens nothing. The subjects of one query are one script call, in a Cluster one for each slot
(docs/decisions/0006-limits-that-machines-share.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import Final

from app.adapters.cache.connection import RedisAway, RedisConnection, RedisScript
from app.adapters.throttle import ADMITTED, DEFAULT_LIMITS, UNLISTED, Limit, MemoryThrottle, stricter
from app.adapters.throttle_debts import NOTHING, Debts
from app.adapters.throttle_script import LIMITS
from app.core.ports.clock import Clock
from app.core.ports.throttle import Admission, ThrottleSubject

LOCAL_SHARE: Final = 0.5
_SCRIPT: Final = RedisScript.of(LIMITS)
_US: Final = 1_000_000
_TAG_BYTES: Final = 12


@dataclass(slots=True)
class _Group:
    """Subjects whose counts stand in one slot, with their keys."""

    subjects: list[ThrottleSubject]
    keys: list[str]


class RedisThrottle:
    """The ``Throttle`` of many machines. ``digest_key`` (16 to 64 bytes, the same on all of them) hides the callers
    from whoever can read Redis. ``local_share`` is the part of each limit that this process grants alone while Redis
    is away. What it granted before counts then, and what it grants then counts everywhere once Redis is back.
    """

    def __init__(
        self,
        connection: RedisConnection,
        clock: Clock,
        limits: Mapping[str, Limit] = DEFAULT_LIMITS,
        *,
        digest_key: bytes,
        local_share: float = LOCAL_SHARE,
    ) -> None:
        if not 16 <= len(digest_key) <= 64 or not 0 < local_share <= 1:
            raise ValueError("a digest key has 16 to 64 bytes, and a share lies above 0 and at most at 1")
        self._connection = connection
        self._digest_key = digest_key
        self._limits = {kind: _text_of(limit) for kind, limit in limits.items()}
        self._unlisted = _text_of(UNLISTED)
        longest_s = max(max(one.window_s, one.wrong_window_s) for one in (*limits.values(), UNLISTED))
        self._debts = Debts(clock, keep_s=longest_s)
        self._local = MemoryThrottle(
            clock,
            {kind: stricter(limit, local_share) for kind, limit in limits.items()},
            unlisted=stricter(UNLISTED, local_share),
        )

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        """Count one query against every subject, or against none where any of them refuses."""
        if not subjects:
            return ADMITTED
        if not self._connection.up:
            return await self._admit_locally(subjects)
        spent: list[_Group] = []
        slow_ms = 0
        try:
            for group in self._groups(subjects):
                wait_us, slow = await self._ask("admit", group)
                if wait_us > 0:
                    await self._refund(spent)
                    return Admission(allowed=False, retry_after_s=max(1, ceil(wait_us / _US)))
                spent.append(group)
                slow_ms = max(slow_ms, slow)
        except RedisAway:
            # what a lost call may have counted stays counted: stricter, and gone after a window
            return await self._admit_locally(subjects)
        self._local.count(subjects)
        return Admission(allowed=True, slow_ms=slow_ms) if slow_ms else ADMITTED

    async def note_wrong(self, subjects: Sequence[ThrottleSubject]) -> None:
        """Count one wrong code against every subject; it limits the next query."""
        await self._local.note_wrong(subjects)
        try:
            for group in self._groups(subjects):
                await self._ask("wrong", group)
        except RedisAway:
            for subject in subjects:
                self._debts.add(subject, wrong=1)

    async def _admit_locally(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        admission = await self._local.admit(subjects)
        if admission.allowed:
            self._connection.tallies.admitted_locally += 1
            for subject in subjects:
                self._debts.add(subject, queries=1)
        else:
            self._connection.tallies.refused_locally += 1
        return admission

    async def _refund(self, groups: Sequence[_Group]) -> None:
        """Undo the counts of a query that was then refused; meanwhile others saw one too many: stricter, never open."""
        with suppress(RedisAway):
            for group in groups:
                await self._ask("refund", group)

    async def _ask(self, deed: str, group: _Group) -> tuple[int, int]:
        owed = [self._debts.take(subject) if self._debts else NOTHING for subject in group.subjects]
        numbers = "".join(
            f"{self._limits.get(subject.kind, self._unlisted)}{queries} {wrong} "
            for subject, (queries, wrong) in zip(group.subjects, owed, strict=True)
        )
        try:
            reply = await self._connection.run(_SCRIPT, group.keys, (deed, numbers))
        except RedisAway:
            for subject, (queries, wrong) in zip(group.subjects, owed, strict=True):
                if queries or wrong:
                    self._debts.add(subject, queries=queries, wrong=wrong)
            raise
        match reply:
            case [int(wait_us), int(slow_ms)]:
                return wait_us, slow_ms
            case _:
                raise RedisAway

    def _groups(self, subjects: Sequence[ThrottleSubject]) -> list[_Group]:
        groups: dict[str, _Group] = {}
        for subject in subjects:
            own = self._digest(subject.kind, subject.key)
            tag = self._digest("", subject.group) if subject.group else own
            slot = tag if self._connection.sharded else ""
            group = groups.get(slot)
            if group is None:
                group = groups[slot] = _Group([], [])
            group.keys.append(f"yanzhen:t:{{{tag}}}:{subject.kind}:{own}")
            group.subjects.append(subject)
        return list(groups.values())

    def _digest(self, kind: str, key: bytes | str) -> str:
        text = key.encode() if isinstance(key, str) else key
        return blake2b(kind.encode() + b"\0" + text, key=self._digest_key, digest_size=_TAG_BYTES).hexdigest()


def _text_of(limit: Limit) -> str:
    """Return interval and window of queries, then of wrong codes, in microseconds, and the longest slowing in ms.

    Intervals are rounded down, which admits not one query more: what all of them lose together stays below one.
    """
    window_us, wrong_window_us = round(limit.window_s * _US), round(limit.wrong_window_s * _US)
    intervals = window_us // limit.queries, wrong_window_us // limit.wrong
    return f"{intervals[0]} {window_us} {intervals[1]} {wrong_window_us} {limit.slow_max_ms} "
