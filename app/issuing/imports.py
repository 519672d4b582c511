"""Import of codes that another system made, as keyed digests under serials of their own; all of a list or none.

Every line is checked before the first is handed over; meanwhile memory holds sixteen bytes a code.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.core.errors import KeyMissing, RuleBroken
from app.core.model.catalogue import Catalogue
from app.core.model.code import MAX_DIGITS, Code, Entry
from app.core.model.label import ProductId, ProgrammeId
from app.core.ports.clock import Clock
from app.core.ports.labels import Recognised, Recogniser
from app.core.ports.verifications import CatalogueStore
from app.issuing.batches import Issued
from app.issuing.code_lists import LinesRefused, ListedCode, Refusals, is_digits, read_code_list
from app.issuing.codebook import LAYOUTS
from app.issuing.density import Density, length_for, most_labels
from app.issuing.keyed_digest import DIGEST_BYTES
from app.issuing.ports import CodesTaken, ImportOrder, LabelRegistry

_CHUNK: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """A CSV file of codes, all of one length, for one product."""

    product_id: ProductId
    programme_id: ProgrammeId | None = None
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A list without fault: the length of its codes and their digests, one after another."""

    digits: int
    digests: bytearray

    @property
    def count(self) -> int:
        return len(self.digests) // DIGEST_BYTES

    async def chunks(self) -> AsyncIterator[Sequence[bytes]]:
        for start in range(0, len(self.digests), _CHUNK * DIGEST_BYTES):
            chunk = bytes(self.digests[start : start + _CHUNK * DIGEST_BYTES])
            yield [chunk[at : at + DIGEST_BYTES] for at in range(0, len(chunk), DIGEST_BYTES)]


class CodeImport:
    """Imports lists of foreign codes into the registry; reading runs off the event loop."""

    __slots__ = ("_catalogues", "_clock", "_recogniser", "_registry")

    def __init__(
        self, registry: LabelRegistry, *, catalogues: CatalogueStore, recogniser: Recogniser, clock: Clock
    ) -> None:
        self._registry = registry
        self._catalogues = catalogues
        self._recogniser = recogniser
        self._clock = clock

    async def take(self, request: ImportRequest) -> Issued:
        """Import the list as one batch, or raise and change nothing.

        LinesRefused names lines that are no codes, of another length, doubled, imported before, or codes of our own;
        RuleBroken says that the codes stand too dense; KeyMissing that the keys do not fit the database.
        """
        catalogue = await self._catalogues.load()
        if not self._recogniser.keys_fit(catalogue):
            raise KeyMissing(
                "The key file does not fit this database, so codes cannot be imported. Restore it from its backup."
            )
        checked = await asyncio.to_thread(self._check, request.path, catalogue)
        own = await self._registry.issued_count(checked.digits) if checked.digits in LAYOUTS else 0
        before = await self._registry.imported_count(checked.digits) + own
        most = most_labels(checked.digits)
        if before + checked.count > most:
            raise RuleBroken(
                f"{checked.count:,} codes of {checked.digits} digits would be too easy to guess: {before:,} are in "
                f"use and {max(most - before, 0):,} are left (one code in a billion may be real). Codes of at least "
                f"{length_for(before + checked.count)} digits would do."
            )
        order = ImportOrder(
            product_id=request.product_id,
            programme_id=request.programme_id,
            digits=checked.digits,
            at_most=most - own,
            url_prefix="",
            issued_at=self._clock.now(),
        )
        try:
            batch = await self._registry.import_codes(order, checked.chunks())
        except CodesTaken as taken:
            raise await asyncio.to_thread(_taken_lines, request.path, taken) from taken
        return Issued(batch=batch, density=Density(digits=checked.digits, labels=before + checked.count))

    def _check(self, path: Path, catalogue: Catalogue) -> _Checked:
        refusals = Refusals()
        digests = bytearray()
        digits = 0
        for listed in read_code_list(path):
            reason = self._fault(listed, digits, catalogue)
            if reason is not None:
                refusals.add(listed.line, reason)
                continue
            digits = len(listed.text)
            digests += self._recogniser.code_digest(_code(listed.text))
        if _stands_twice(digests):
            for line in _repeated_lines(path, digits):
                refusals.add(line, "the same code stands further up")
        refusals.raise_any()
        if not digests:
            raise RuleBroken(f"The list {path} holds no code. Put one code on each line.")
        return _Checked(digits=digits, digests=digests)

    def _fault(self, listed: ListedCode, digits: int, catalogue: Catalogue) -> str | None:
        """Return why a line cannot be taken, or None. `digits` is the length of the codes above it, 0 for none."""
        text = listed.text
        if not is_digits(text):
            return "not a code: digits only are expected"
        if len(text) > MAX_DIGITS:
            return f"longer than {MAX_DIGITS} digits"
        if digits and len(text) != digits:
            return f"{len(text)} digits where the others have {digits}; import each length by itself"
        if len(text) in LAYOUTS:
            recognition = self._recogniser.recognise(_code(text), catalogue)
            if isinstance(recognition, Recognised):
                return "a code of our own, which a label of another batch carries"
        return None


def _stands_twice(digests: bytearray) -> bool:
    """Tell whether two digests begin with the same eight bytes, which different codes hardly ever do."""
    import numpy as np

    ordered = np.sort(np.frombuffer(digests, dtype=np.uint64)[::2])
    return bool(np.any(ordered[1:] == ordered[:-1]))


def _repeated_lines(path: Path, digits: int) -> Iterator[int]:
    """Yield the lines whose code stands further up; reads the list again, holding every code of it."""
    seen: set[str] = set()
    for listed in read_code_list(path):
        if len(listed.text) == digits and is_digits(listed.text):
            if listed.text in seen:
                yield listed.line
            seen.add(listed.text)


def _code(text: str) -> Code:
    return Code.parse(text, entry=Entry.SCANNED, lengths=frozenset({len(text)}))


def _taken_lines(path: Path, taken: CodesTaken) -> LinesRefused:
    """Turn positions in the stream of digests into line numbers."""
    wanted = set(taken.positions)
    refusals = Refusals()
    for position, listed in enumerate(read_code_list(path), start=1):
        if position in wanted:
            refusals.add(listed.line, "imported before")
    try:
        refusals.raise_any()
    except LinesRefused as refused:
        return refused
    return LinesRefused((), count=len(wanted))
