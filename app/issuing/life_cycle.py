"""The life of issued labels: activation, voiding, expiry by serial range or by code, recall by batch.

Every change is appended; among those that cover a label the last wins. A list of codes is taken whole or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import KeyMissing, RuleBroken
from app.core.model.catalogue import Catalogue
from app.core.model.code import Code, Entry
from app.core.model.label import BatchId, CodeBatch, LabelState
from app.core.ports.clock import Clock
from app.core.ports.labels import KeysMissing, Recognised, Recogniser
from app.core.ports.verifications import CatalogueStore
from app.issuing.code_lists import Refusals, is_digits, read_code_list
from app.issuing.ports import LabelRegistry, StateChange

_NOT_OURS = "not a code of ours"
_NOT_DIGITS = "not a code: digits only are expected"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatesChanged:
    """What was changed: how many labels in how many ranges, and `revived`: how many had been voided until now."""

    state: LabelState
    labels: int
    changes: tuple[StateChange, ...]
    revived: int = 0


class LabelLifeCycle:
    """Changes the states of labels in the registry. Serials are global; None means the batch's own ends."""

    __slots__ = ("_catalogues", "_clock", "_recogniser", "_registry")

    def __init__(
        self, registry: LabelRegistry, *, catalogues: CatalogueStore, recogniser: Recogniser, clock: Clock
    ) -> None:
        self._registry = registry
        self._catalogues = catalogues
        self._recogniser = recogniser
        self._clock = clock

    async def activate(
        self, batch_id: BatchId, *, first: int | None = None, last: int | None = None, reason: str = ""
    ) -> StatesChanged:
        """Put labels into circulation. Voided ones within the range come alive again and are counted."""
        return await self._change(batch_id, LabelState.ACTIVE, first, last, reason)

    async def void(
        self, batch_id: BatchId, *, first: int | None = None, last: int | None = None, reason: str = ""
    ) -> StatesChanged:
        """Withdraw labels: stolen, destroyed, spoiled."""
        return await self._change(batch_id, LabelState.VOIDED, first, last, reason)

    async def expire(
        self, batch_id: BatchId, *, first: int | None = None, last: int | None = None, reason: str = ""
    ) -> StatesChanged:
        """End the checking of labels; it says nothing about a date on the pack."""
        return await self._change(batch_id, LabelState.EXPIRED, first, last, reason)

    async def recall(self, batch_id: BatchId, *, reason: str) -> None:
        """Recall a batch: from the commit on every label of it answers `recalled`. It needs a reason."""
        if not reason.strip():
            raise RuleBroken("A recall needs its reason, which the record keeps as evidence. Add --reason.")
        await self._registry.set_recalled(batch_id, recalled=True, reason=reason, at=self._clock.now())

    async def lift_recall(self, batch_id: BatchId, *, reason: str) -> None:
        """Lift a recall; labels are again what their states say. RuleBroken where there is none to lift."""
        if not (await self._registry.batch(batch_id)).recalled:
            raise RuleBroken(f"Batch {batch_id} is not recalled, so there is nothing to lift.")
        await self._registry.set_recalled(batch_id, recalled=False, reason=reason, at=self._clock.now())

    async def void_codes(self, path: Path, *, reason: str = "") -> StatesChanged:
        """Void the labels whose codes stand in a CSV file, ours and imported ones, of any number of batches.

        Raises LinesRefused with the line numbers, and changes nothing, if any line is no code of this record;
        KeyMissing where the keys do not fit. A code that stands there twice is taken once.
        """
        catalogue = await self._catalogues.load()
        recognised, others = await asyncio.to_thread(self._recognise_list, path, catalogue)
        refusals = Refusals()
        for line, code in others:
            serial = None
            if code is not None:
                serial = await self._catalogues.find_imported(self._recogniser.code_digest(code))
            if serial is None or catalogue.batch_of(serial) is None:  # an import that did not end left it
                refusals.add(line, _NOT_DIGITS if code is None else _NOT_OURS)
            else:
                recognised.add(serial)
        refusals.raise_any()
        if not recognised:
            raise RuleBroken(f"The list {path} holds no code. Put one code on each line.")
        changes = tuple(_ranges(recognised, catalogue, reason))
        await self._registry.change_states(changes, at=self._clock.now())
        return StatesChanged(state=LabelState.VOIDED, labels=len(recognised), changes=changes)

    def _recognise_list(
        self, path: Path, catalogue: Catalogue
    ) -> tuple[set[int], list[tuple[int, Code | None]]]:
        """Return the serials of our own codes and, by line, what is left to look up (None: not even digits)."""
        serials: set[int] = set()
        others: list[tuple[int, Code | None]] = []
        for listed in read_code_list(path):
            if not is_digits(listed.text):
                others.append((listed.line, None))
                continue
            code = Code.parse(listed.text, entry=Entry.SCANNED, lengths=frozenset({len(listed.text)}))
            recognition = self._recogniser.recognise(code, catalogue)
            if isinstance(recognition, KeysMissing):
                raise KeyMissing(
                    "The key file does not fit this database, so no code can be told. Restore it from its backup."
                )
            if isinstance(recognition, Recognised):
                serials.add(recognition.serial)
            else:
                others.append((listed.line, code))
        return serials, others

    async def _change(
        self, batch_id: BatchId, state: LabelState, first: int | None, last: int | None, reason: str
    ) -> StatesChanged:
        batch = await self._registry.batch(batch_id)
        change = StateChange(
            batch_id=batch_id,
            first_serial=batch.first_serial if first is None else first,
            last_serial=batch.last_serial if last is None else last,
            state=state,
            reason=reason,
        )
        if not batch.first_serial <= change.first_serial <= change.last_serial <= batch.last_serial:
            raise RuleBroken(
                f"The serials {change.first_serial} to {change.last_serial} do not lie within batch {batch_id}, "
                f"which has {batch.first_serial} to {batch.last_serial}."
            )
        revived = 0
        if state is LabelState.ACTIVE:
            revived = _voided_within(await self._catalogues.load(), batch, change)
        await self._registry.change_states((change,), at=self._clock.now())
        labels = change.last_serial - change.first_serial + 1
        return StatesChanged(state=state, labels=labels, changes=(change,), revived=revived)


def _voided_within(catalogue: Catalogue, batch: CodeBatch, change: StateChange) -> int:
    spans = catalogue.spans.get(batch.id, ())
    count = 0
    for index, span in enumerate(spans):
        end = spans[index + 1].first_serial - 1 if index + 1 < len(spans) else batch.last_serial
        if span.state is LabelState.VOIDED:
            overlap = min(end, change.last_serial) - max(span.first_serial, change.first_serial) + 1
            count += max(overlap, 0)
    return count


def _ranges(serials: Iterable[int], catalogue: Catalogue, reason: str) -> Iterator[StateChange]:
    """Yield one change for each run of neighbouring serials of one batch."""
    run: list[int] = []
    batch: CodeBatch | None = None
    for serial in sorted(serials):
        if batch is not None and run and serial == run[-1] + 1 and serial <= batch.last_serial:
            run[1:] = [serial]
            continue
        if batch is not None:
            yield _voiding(batch, run, reason)
        batch = catalogue.batch_of(serial)
        run = [serial]
    if batch is not None:
        yield _voiding(batch, run, reason)


def _voiding(batch: CodeBatch, run: list[int], reason: str) -> StateChange:
    return StateChange(
        batch_id=batch.id, first_serial=run[0], last_serial=run[-1], state=LabelState.VOIDED, reason=reason
    )
