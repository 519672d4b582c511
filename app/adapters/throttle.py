"""Limits in this process: GCRA (ITU-T I.371), one float a key, and two generations of keys so that forgetting is free.

A key's float is the moment at which its allowance is whole again. Keys that nobody touched for a whole window are
whole by then, so the older generation is dropped in one step; a full table makes new keys share a stricter few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from app.core.ports.clock import Clock
from app.core.ports.throttle import Admission, ThrottleSubject
from app.logs import Logger

_Key = bytes | str
ADMITTED: Final = Admission(allowed=True)
_SHARED_KEYS: Final = 1024
_SLOW_FROM: Final = 0.8
_TINY: Final = 1e-9  # seconds or shares lost in floating point sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``queries`` per ``window_s`` and ``wrong`` codes per ``wrong_window_s``; ``slow_max_ms`` is the delay that
    the last fifth of the queries grows to (0: answers are never slowed).
    """

    queries: int
    window_s: float
    wrong: int
    wrong_window_s: float
    slow_max_ms: int = 0

    def __post_init__(self) -> None:
        if min(self.queries, self.wrong) < 1 or min(self.window_s, self.wrong_window_s) <= 0:
            raise ValueError(
                "a limit must allow at least one query and one wrong code, each in a window above 0 s"
            )


_HOUR_S: Final = 3600.0
DEFAULT_LIMITS: Final[Mapping[str, Limit]] = {
    # Service rules, section 4. Carriers put thousands behind one address, hence its own, wider windows.
    "address": Limit(queries=60, window_s=60, wrong=30, wrong_window_s=600, slow_max_ms=500),
    "web": Limit(queries=20, window_s=_HOUR_S, wrong=5, wrong_window_s=_HOUR_S, slow_max_ms=500),
    "phone": Limit(queries=20, window_s=_HOUR_S, wrong=5, wrong_window_s=_HOUR_S),
    # callers whose number is withheld share one allowance a line, since nobody can tell them apart
    "withheld": Limit(queries=600, window_s=_HOUR_S, wrong=100, wrong_window_s=_HOUR_S),
    "wechat": Limit(queries=30, window_s=_HOUR_S, wrong=5, wrong_window_s=_HOUR_S),
}
# One challenge, redeemed once, and the pass it leaves behind: neither is whole again while the other end of it lives
# (channels/web/vouchers.py), and the first wrong code ends the pass, so every further guess costs its own work.
_VOUCHER_S: Final = 1800.0
_VOUCHER_LIMITS: Final[Mapping[str, Limit]] = {
    "proof": Limit(queries=1, window_s=_VOUCHER_S, wrong=1, wrong_window_s=_VOUCHER_S),
    "pass": Limit(queries=5, window_s=5 * _VOUCHER_S, wrong=1, wrong_window_s=_VOUCHER_S),
}
UNLISTED: Final = Limit(queries=20, window_s=_HOUR_S, wrong=5, wrong_window_s=_HOUR_S)


def stricter(limit: Limit, share: float) -> Limit:
    """Return a limit with ``share`` of the queries and wrong codes, at least one of each, in the same windows."""
    return replace(limit, queries=max(1, int(limit.queries * share)), wrong=max(1, int(limit.wrong * share)))


def with_vouchers(limits: Mapping[str, Limit]) -> dict[str, Limit]:
    """Return ``limits`` and those for callers who worked or waited: all of one network together get half as much again
    by work, and half by waiting, as its ``address`` gets without, so neither opens a network by more than twice.
    """
    half = replace(stricter(limits["address"], 0.5), slow_max_ms=0)
    return {**limits, **_VOUCHER_LIMITS, "proved": half, "waited": half}


class _Allowance:
    """``count`` per ``window_s`` for each of at most about ``2 * keys`` keys."""

    __slots__ = ("_keys", "_newer", "_older", "_rotate_at", "interval_s", "window_s")

    def __init__(self, count: int, window_s: float, keys: int) -> None:
        self.interval_s = window_s / count
        self.window_s = window_s
        self._keys = keys
        self._newer: dict[_Key | int, float] = {}
        self._older: dict[_Key | int, float] = {}
        self._rotate_at = 0.0

    def whole_at(self, key: _Key, now: float) -> float:
        """Return when the allowance of ``key`` is whole again, at least ``now``."""
        if now >= self._rotate_at:
            self._rotate(now)
        at = self._newer.get(key)
        if at is None:
            if not self._newer and not self._older:
                return now
            at = self._older.get(key)
            if at is None:
                if len(self._newer) < self._keys:
                    return now
                shared = hash(key) % _SHARED_KEYS
                at = max(self._newer.get(shared, now), self._older.get(shared, now))
        return max(now, at)

    def spend(self, key: _Key, whole_at: float) -> None:
        """Note that ``key`` spent one: its allowance is whole again at ``whole_at``."""
        newer = self._newer
        if key in newer or key in self._older or len(newer) < self._keys:
            newer[key] = whole_at
        else:
            newer[hash(key) % _SHARED_KEYS] = whole_at

    def _rotate(self, now: float) -> None:
        # What stands in the older generation was last touched before the last rotation, a whole window ago.
        idle = now - self._rotate_at >= self.window_s
        self._older = {} if idle else self._newer
        self._newer = {}
        self._rotate_at = now + self.window_s


class MemoryThrottle:
    """The ``Throttle`` of one process. ``limits`` maps a subject's kind to its limit; others get ``unlisted``.

    A refusal names the exact time after which the same question is admitted, rounded up to a second.
    """

    def __init__(
        self,
        clock: Clock,
        limits: Mapping[str, Limit] = DEFAULT_LIMITS,
        *,
        unlisted: Limit = UNLISTED,
        keys_per_limit: int = 200_000,
    ) -> None:
        self._clock = clock
        self._allowances = {kind: _allowances_of(limit, keys_per_limit) for kind, limit in limits.items()}
        # A kind that nobody configured is limited too, because a forgotten line must not open a channel.
        self._unlisted = _allowances_of(unlisted, keys_per_limit)

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        """Count one query against every subject, or against none where any of them refuses."""
        now = self._clock.monotonic_s()
        spent = []
        wait_s = 0.0
        slow_ms = 0.0
        for subject in subjects:
            queries, wrongs, slow_max_ms = self._allowances.get(subject.kind, self._unlisted)
            key = subject.key
            ahead = wrongs.whole_at(key, now) - now
            if ahead > 0.0:
                over = ahead + wrongs.interval_s - wrongs.window_s
                if over > _TINY and over > wait_s:
                    wait_s = over
            ahead = queries.whole_at(key, now) - now + queries.interval_s
            over = ahead - queries.window_s
            if over > _TINY:
                wait_s = max(wait_s, over)
            elif slow_max_ms:
                past = ahead / queries.window_s - _SLOW_FROM
                if past > _TINY:
                    slow_ms = max(slow_ms, slow_max_ms * past / (1 - _SLOW_FROM))
            spent.append((queries, key, now + ahead))
        if wait_s > 0.0:
            return Admission(allowed=False, retry_after_s=max(1, ceil(wait_s - _TINY)))
        for queries, key, whole_at in spent:
            queries.spend(key, whole_at)
        return Admission(allowed=True, slow_ms=round(slow_ms)) if slow_ms else ADMITTED

    def count(self, subjects: Sequence[ThrottleSubject]) -> None:
        """Count one query that was admitted elsewhere; a debt stays within one window."""
        now = self._clock.monotonic_s()
        for subject in subjects:
            queries, _, _ = self._allowances.get(subject.kind, self._unlisted)
            whole_at = queries.whole_at(subject.key, now) + queries.interval_s
            queries.spend(subject.key, min(whole_at, now + queries.window_s))

    async def note_wrong(self, subjects: Sequence[ThrottleSubject]) -> None:
        """Count one wrong code against every subject; it limits the next query."""
        now = self._clock.monotonic_s()
        for subject in subjects:
            _, wrongs, _ = self._allowances.get(subject.kind, self._unlisted)
            # A caller who had several queries under way may pass the limit; the debt stays within one window.
            whole_at = wrongs.whole_at(subject.key, now) + wrongs.interval_s
            wrongs.spend(subject.key, min(whole_at, now + wrongs.window_s))


def _allowances_of(limit: Limit, keys: int) -> tuple[_Allowance, _Allowance, int]:
    return (
        _Allowance(limit.queries, limit.window_s, keys),
        _Allowance(limit.wrong, limit.wrong_window_s, keys),
        limit.slow_max_ms,
    )


class UnlimitedThrottle:
    """No limits at all: for measurements on a closed machine. Warns when it is made, because nobody should serve so."""

    def __init__(self, log: Logger) -> None:
        log.warning(
            "limits_off", remedy="Set YANZHEN_THROTTLE__ENABLED=true before strangers can reach this service."
        )

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        """Admit every query."""
        return ADMITTED

    async def note_wrong(self, subjects: Sequence[ThrottleSubject]) -> None:
        """Count nothing."""
