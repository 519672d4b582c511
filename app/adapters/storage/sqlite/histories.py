"""The state of labels: folded rows plus, in memory, every label that a fact after the fold touched.

Used by the writer thread only, inside its transactions. A fact carries its ordinals, so applying one is a maximum
and may be repeated; see docs/decisions/0001-what-a-verification-writes.md.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from app.adapters.storage.rows import from_micros
from app.adapters.storage.sqlite.many_rows import put_rows
from app.core.model.verdict import First
from app.core.model.verification import History

_MAX_VARIABLES: Final = 8192

_FACTS = (
    "SELECT id, serial, ordinal, own_ordinal, at, channel, place, caller FROM verification"
    " WHERE id > ? AND ordinal IS NOT NULL ORDER BY id"
)
_LABELS = (
    "SELECT json_group_array(json_array(serial, count, first_at, first_channel, first_place, first_caller,"
    " first_caller_count)) FROM label_history WHERE serial IN ({})"
)
_LABEL_CALLERS = (
    "SELECT json_group_array(json_array(serial, caller, count, first_at)) FROM label_caller"
    " WHERE (serial, caller) IN (VALUES {})"
)
_FOLD_LABEL = (
    "ON CONFLICT (serial) DO UPDATE SET count = max(count, excluded.count),"
    " first_caller_count = max(first_caller_count, excluded.first_caller_count)"
)
_FOLD_CALLER = "ON CONFLICT (serial, caller) DO UPDATE SET count = max(count, excluded.count)"


def spare_marks(count: int) -> int:
    """Round a number of statement parameters up to a power of two, so that few statements serve every size."""
    return 1 << max(count - 1, 0).bit_length()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldLimits:
    """A fold begins at so many ``labels`` or ``facts`` in memory; each commit then writes ``slice`` labels at least."""

    labels: int = 16_384
    facts: int = 65_536
    slice: int = 128


class _LabelState:
    """Counts of one label. ``others`` maps a further caller's reference to [count, first_at]."""

    __slots__ = (
        "count",
        "first",
        "first_at",
        "first_caller",
        "first_caller_count",
        "first_channel",
        "first_place",
        "others",
    )

    def __init__(self) -> None:
        self.count = 0
        self.first: First | None = None  # as others see it, made when first asked for
        self.first_at = 0
        self.first_channel = ""
        self.first_place: str | None = None
        self.first_caller: int | None = None
        self.first_caller_count = 0
        self.others: dict[int, list[int]] | None = None

    def first_for(self, caller: int | None) -> First:
        """Return the first verification as ``caller`` may see it."""
        own = caller is not None and caller == self.first_caller
        if self.first is not None and not own:
            return self.first
        first = First(
            at=from_micros(self.first_at), channel=self.first_channel, place=self.first_place or "", own=own
        )
        if not own:
            self.first = first
        return first


class Histories:
    """The overlay of one process over one connection. Not thread-safe."""

    def __init__(self, connection: sqlite3.Connection, limits: FoldLimits | None = None) -> None:
        self._connection = connection
        self.limits = limits or FoldLimits()
        self._fresh: dict[int, _LabelState] = {}
        self._folding: dict[int, _LabelState] = {}
        self._order: list[int] = []
        self._goal = 0
        self._facts = 0
        self.last_id = -1

    def reset(self) -> None:
        """Forget everything, after a transaction that did not commit; the next look reads the facts again."""
        self._fresh, self._folding, self._order = {}, {}, []
        self._facts = 0
        self.last_id = -1

    def catch_up(self, last_id: int) -> None:
        """Apply the facts up to ``last_id`` that other processes (or an earlier run of this one) appended."""
        if self.last_id < 0:
            self.last_id = self._connection.execute("SELECT through FROM fold").fetchone()[0]
        if last_id <= self.last_id:
            return
        facts = self._connection.execute(_FACTS, (self.last_id,)).fetchall()
        self.load({(fact[1], fact[7]) for fact in facts})
        for _, serial, ordinal, own_ordinal, at, channel, place, caller in facts:
            state = self._touch(serial)
            state.count = max(state.count, ordinal)
            if ordinal == 1:
                state.first_at, state.first_channel = at, channel
                state.first_place, state.first_caller = place, caller
            if caller is None:
                continue
            if caller == state.first_caller:
                state.first_caller_count = max(state.first_caller_count, own_ordinal)
            else:
                own = self._other(state, caller, at)
                own[0] = max(own[0], own_ordinal)
        self._facts += len(facts)
        self.last_id = last_id

    def load(self, askers: Iterable[tuple[int, int | None]]) -> None:
        """Bring the state of every (serial, caller reference or None) into memory: two statements at most."""
        askers = list(askers)
        missing = sorted({serial for serial, _ in askers if self._find(serial) is None})
        for start in range(0, len(missing), _MAX_VARIABLES):
            self._load_labels(missing[start : start + _MAX_VARIABLES])
        known = {(serial, caller) for serial, caller in askers if caller is not None}
        pairs = sorted(pair for pair in known if self._lacks(*pair))
        for start in range(0, len(pairs), _MAX_VARIABLES // 2):
            self._load_callers(pairs[start : start + _MAX_VARIABLES // 2])

    def count(self, serial: int, caller: int | None, *, at: int, channel: str, place: str | None) -> History:
        """Count one query of a label whose state is loaded, and return the history that includes it."""
        state = self._touch(serial)
        state.count += 1
        self._facts += 1
        if state.count == 1:
            state.first_at, state.first_channel, state.first_place, state.first_caller = (
                at,
                channel,
                place,
                caller,
            )
        own_ordinal, own_first_at = 0, None
        if caller is not None:
            if caller == state.first_caller:
                state.first_caller_count += 1
                own_ordinal = state.first_caller_count
                own_first_at = state.first_at
            else:
                own = self._other(state, caller, at)
                own[0] += 1
                own_ordinal, own_first_at = own
        return History(
            ordinal=state.count,
            own_ordinal=own_ordinal,
            first=state.first_for(caller),
            own_first_at=from_micros(own_first_at) if own_ordinal > 1 and own_first_at is not None else None,
        )

    def first_of(self, serial: int, caller: int | None) -> First | None:
        """Return the first verification of a loaded label as ``caller`` may see it, or None if there was none."""
        state = self._find(serial)
        if state is None or not state.count:
            return None
        return state.first_for(caller)

    def own_first_at(self, serial: int, caller: int | None) -> datetime | None:
        """Return when ``caller`` first asked about a loaded label, or None."""
        state = self._find(serial)
        if state is None or caller is None:
            return None
        if caller == state.first_caller:
            return from_micros(state.first_at)
        own = (state.others or {}).get(caller)
        return from_micros(own[1]) if own else None

    def count_of(self, serial: int) -> int:
        """Return how often a loaded label was counted."""
        state = self._find(serial)
        return state.count if state else 0

    @property
    def unfolded(self) -> bool:
        """True while some label in memory is ahead of its row."""
        return bool(self._fresh or self._folding)

    @property
    def fold_is_due(self) -> bool:
        """True where a fold is under way or the overlay is full."""
        full = len(self._fresh) >= self.limits.labels or self._facts >= self.limits.facts
        return full or bool(self._folding)

    def fold(self, labels: int) -> None:
        """Write at most ``labels`` states to their rows, in serial order, inside the present transaction."""
        if not self._folding:
            self._folding, self._fresh = self._fresh, {}
            self._order = sorted(self._folding, reverse=True)
            self._goal, self._facts = self.last_id, 0
        rows: list[Any] = []
        callers: list[Any] = []
        for _ in range(min(labels, len(self._order))):
            serial = self._order.pop()
            state = self._folding[serial]
            rows += (
                serial,
                state.count,
                state.first_at,
                state.first_channel,
                state.first_place,
                state.first_caller,
                state.first_caller_count,
            )
            for caller, (count, at) in (state.others or {}).items():
                callers += (serial, caller, count, at)
        put_rows(self._connection, "label_history", 7, rows, _FOLD_LABEL)
        put_rows(self._connection, "label_caller", 4, callers, _FOLD_CALLER)
        if not self._order:
            self._connection.execute("UPDATE fold SET through = max(through, ?)", (self._goal,))
            self._folding = {}

    # -- memory ----------------------------------------------------------------------------------------------

    def _find(self, serial: int) -> _LabelState | None:
        return self._fresh.get(serial) or self._folding.get(serial)

    def _touch(self, serial: int) -> _LabelState:
        """Return the loaded state, marked as ahead of its row."""
        state = self._fresh.get(serial)
        if state is None:
            state = self._folding.get(serial) or _LabelState()
            self._fresh[serial] = state
        return state

    def _lacks(self, serial: int, caller: int) -> bool:
        state = self._find(serial)
        return state is not None and caller != state.first_caller and caller not in (state.others or ())

    @staticmethod
    def _other(state: _LabelState, caller: int, at: int) -> list[int]:
        if state.others is None:
            state.others = {}
        return state.others.setdefault(caller, [0, at])

    def _load_labels(self, serials: list[int]) -> None:
        """Read rows into the overlay. A label without a row was never counted: there is nothing to read for it."""
        marks = spare_marks(len(serials))
        sql = _LABELS.format(",".join("?" * marks))
        text = self._connection.execute(sql, serials + [None] * (marks - len(serials))).fetchone()[0]
        rows: list[list[Any]] = orjson.loads(text)
        for serial, count, first_at, channel, place, caller, caller_count in rows:
            state = _LabelState()
            state.count, state.first_at, state.first_channel = count, first_at, channel
            state.first_place, state.first_caller, state.first_caller_count = place, caller, caller_count
            self._fresh[serial] = state

    def _load_callers(self, pairs: list[tuple[int, int]]) -> None:
        marks = spare_marks(len(pairs))
        values = [value for pair in pairs for value in pair] + [None] * (2 * (marks - len(pairs)))
        sql = _LABEL_CALLERS.format(",".join(["(?,?)"] * marks))
        rows: list[list[int]] = orjson.loads(self._connection.execute(sql, values).fetchone()[0])
        for serial, caller, count, first_at in rows:
            state = self._find(serial)
            if state is not None:
                self._other(state, caller, first_at)[0] = count
