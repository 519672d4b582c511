"""What a label's history must be, said as plainly as possible: every query in one list, counted anew each time.

Written from the service's rules and not from the code, so that the two can disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.core.model.verdict import Detail, Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One counted query."""

    at: datetime
    channel: str
    token: bytes | None


@dataclass(slots=True)
class HistoryModel:
    """Every counted query by serial, in the order of the record."""

    queries: dict[int, list[Asked]] = field(default_factory=dict)

    def count(self, serial: int, asked: Asked) -> int:
        """Add a query and return its ordinal."""
        self.queries.setdefault(serial, []).append(asked)
        return len(self.queries[serial])

    def check(
        self, serial: int, verdict: Verdict, *, thresholds: tuple[int, int], stronger: list[Outcome]
    ) -> None:
        """Assert that ``verdict`` is what the last query of the label must be told.

        ``stronger`` are the outcomes of the label's own state, strongest first.
        """
        queries = self.queries[serial]
        me, first = queries[-1], queries[0]
        own = [query for query in queries[:-1] if me.token is not None and query.token == me.token]
        others = len(queries) - 1 - len(own)
        assert verdict.ordinal == len(queries)
        assert verdict.first is not None
        first_is_own = me.token is not None and first.token == me.token
        assert (verdict.first.at, verdict.first.channel, verdict.first.own) == (
            first.at,
            first.channel,
            first_is_own,
        )
        assert verdict.own_first_at == (own[0].at if own else None)
        told = [*stronger, _by_counts(len(queries), others, own=bool(own), thresholds=thresholds)]
        assert verdict.outcome is told[0]
        assert [reason for reason in verdict.reasons if isinstance(reason, Outcome)] == told[1:]
        moment_ago = others == 0 and bool(own) and me.at - first.at <= timedelta(minutes=10)
        assert (Detail.JUST_RECORDED in verdict.reasons) == moment_ago


def _by_counts(total: int, others: int, *, own: bool, thresholds: tuple[int, int]) -> Outcome:
    """Thresholds count the queries by others and, for this purpose, the present one."""
    genuine, warn = thresholds
    if total == 1:
        return Outcome.FIRST
    if others >= warn:
        return Outcome.OVER_LIMIT
    if others >= genuine:
        return Outcome.REPEAT
    return Outcome.REPEAT_OWN if own else Outcome.REPEAT
