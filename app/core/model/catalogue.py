"""The catalogue: an immutable snapshot of every batch, product and brand, held in memory for recognition.

Batches are ranges, so a billion labels cost one entry. A change makes a new snapshot with a higher version.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import heappop, heappush
from typing import Final

from app.core.model.code import PRESET_LENGTHS
from app.core.model.label import BatchId, CodeBatch, Disclosure, Label, LabelState, Serial, StateSpan

_ISSUED: Final = StateSpan(first_serial=0, state=LabelState.ISSUED)
_NO_SPANS: Final = (_ISSUED,)
_NOBODYS: Final = BatchId(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateEvent:
    """An append-only change of state of a serial range of one batch; among those that cover a label the last wins."""

    id: int
    batch_id: BatchId
    first_serial: int
    last_serial: int
    state: LabelState
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A snapshot. ``version`` grows with every change that any process commits.

    ``lengths`` are those a code may have; ``issued_lengths`` those that labels really have.

    ``batches`` are sorted by first serial and do not overlap; ``spans`` holds, for a batch with events, its
    state spans sorted by serial. ``key_checks`` maps a key's name to the check value stored beside the data.
    ``stand_in`` is like a batch whose labels are all hidden, None where no brand hides any: what is done with a
    hidden label is done with its labels for every code that is none, so that both take the same time.
    """

    version: int
    batches: tuple[CodeBatch, ...] = ()
    spans: Mapping[BatchId, tuple[StateSpan, ...]] = field(default_factory=dict)
    key_checks: Mapping[str, str] = field(default_factory=dict)
    lengths: frozenset[int] = PRESET_LENGTHS
    imported_lengths: frozenset[int] = frozenset()
    issued_lengths: frozenset[int] = PRESET_LENGTHS
    stand_in: CodeBatch | None = None
    _firsts: tuple[int, ...] = ()

    @staticmethod
    def of(
        *,
        version: int,
        batches: Iterable[CodeBatch],
        spans: Mapping[BatchId, tuple[StateSpan, ...]] | None = None,
        key_checks: Mapping[str, str] | None = None,
    ) -> Catalogue:
        """Build a snapshot from batches in any order."""
        ordered = tuple(sorted(batches, key=lambda batch: batch.first_serial))
        imported = frozenset(batch.digits for batch in ordered if batch.imported)
        return Catalogue(
            version=version,
            batches=ordered,
            spans=spans or {},
            key_checks=key_checks or {},
            lengths=PRESET_LENGTHS | imported,
            imported_lengths=imported,
            issued_lengths=frozenset(batch.digits or batch.layout for batch in ordered) or PRESET_LENGTHS,
            stand_in=_stand_in(ordered),
            _firsts=tuple(batch.first_serial for batch in ordered),
        )

    def batch_of(self, serial: int) -> CodeBatch | None:
        """Return the batch whose range holds the global ``serial``, or None."""
        index = bisect_right(self._firsts, serial) - 1
        if index < 0:
            return None
        batch = self.batches[index]
        return batch if serial <= batch.last_serial else None

    def label(self, serial: int, batch: CodeBatch) -> Label:
        """Return the label of ``serial``, which must lie in ``batch``, in its present state."""
        spans = self.spans.get(batch.id) or _NO_SPANS
        index = bisect_right(spans, serial, key=_first_serial) - 1
        span = spans[index] if index >= 0 else _ISSUED
        return Label(
            serial=Serial(serial), batch=batch, state=span.state, state_at=span.at, reason=span.reason
        )


def _first_serial(span: StateSpan) -> int:
    return span.first_serial


def _stand_in(batches: Iterable[CodeBatch]) -> CodeBatch | None:
    """Return a batch like the first whose brand hides states, with a number that no span and no row has."""
    for batch in batches:
        if batch.product.brand.disclosure is Disclosure.MINIMAL:
            return replace(batch, id=_NOBODYS, recalled=False)
    return None


def spans_of(events: Iterable[StateEvent]) -> tuple[StateSpan, ...]:
    """Fold the events of one batch into state spans; later events (higher id) win. O(n log n).

    Serials outside every event are ``issued``. Neighbouring spans of one event are merged.
    """
    starts: dict[int, list[StateEvent]] = {}
    edges: set[int] = set()
    for event in events:
        starts.setdefault(event.first_serial, []).append(event)
        edges.update((event.first_serial, event.last_serial + 1))
    live: list[tuple[int, int, StateEvent]] = []
    spans: list[StateSpan] = []
    shown: int | None = None
    for edge in sorted(edges):
        for event in starts.get(edge, ()):
            heappush(live, (-event.id, event.last_serial, event))
        while live and live[0][1] < edge:
            heappop(live)
        top = live[0][2] if live else None
        if (top.id if top else None) == shown and spans:
            continue
        shown = top.id if top else None
        if top:
            spans.append(StateSpan(first_serial=edge, state=top.state, at=top.at, reason=top.reason))
        else:
            spans.append(StateSpan(first_serial=edge, state=LabelState.ISSUED))
    return tuple(spans)
