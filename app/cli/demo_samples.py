"""The table of sample codes: what each would answer to a stranger at this moment, without asking anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.check_digits import check_digits_for
from app.core.model.code import Code
from app.core.model.label import CodeBatch
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import Draft
from app.core.ports.labels import Recognised

if TYPE_CHECKING:
    from app.bootstrap.workshop import Workshop
    from app.issuing.recogniser import CodebookRecogniser

_UNKNOWN_TRIES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One code of the table: the outcome it would get now, and in words why."""

    code: Code
    outcome: Outcome
    why: str


async def make_samples(workshop: Workshop, batches: Mapping[str, CodeBatch]) -> tuple[Sample, ...]:
    """Return the samples; nothing is recorded."""
    from app.issuing.recogniser import CodebookRecogniser

    recogniser = CodebookRecogniser(workshop.key_file.load)
    codebook = (await workshop.keyring()).codebook()
    catalogue = await workshop.catalogues.load()

    async def of(key: str, place: int, why: str) -> Sample:
        batch = batches[key]
        serial = batch.first_serial + place if place >= 0 else batch.last_serial + 1 + place
        if batch.tag_key_id is None:
            raise AssertionError("the demonstration imports no codes")
        digits = codebook.make(serial, tag_key_id=batch.tag_key_id)
        verdict = await _preview(serial, catalogue, workshop)
        before = (verdict.ordinal or 1) - 1
        return Sample(
            code=_code(digits),
            outcome=verdict.outcome,
            why=f"{why}; checked {before} time(s) so far" if before else why,
        )

    first = await of("active", 0, "infant formula, in circulation")
    return (
        first,
        await of("active", 1, "infant formula, in circulation"),
        await of("tolerant", 0, "sorghum spirit, in circulation; its rule calls two checks normal"),
        await of("printed", 0, "infant formula, printed but not activated"),
        await of("recalled", 0, "maize seed, recalled by the brand"),
        await of("tolerant", -1, "sorghum spirit, voided: spoiled in print"),
        await of("expired", 0, "maize seed, the brand ended checking"),
        Sample(
            code=_mistype(first.code, recogniser, catalogue),
            outcome=Outcome.MISTYPED,
            why="the first code with one digit mistyped",
        ),
        Sample(
            code=_unknown(recogniser, catalogue),
            outcome=Outcome.NOT_FOUND,
            why="well formed, but never issued",
        ),
    )


async def _preview(serial: int, catalogue: Catalogue, workshop: Workshop) -> Verdict:
    """Return what somebody who never asked would be told now."""
    batch = catalogue.batch_of(serial)
    draft = Draft(
        label=catalogue.label(serial, batch) if batch else None,
        code_digest=None,
        caller=Caller(kind=CallerKind.WEB),
        channel="web",
        place="",
        received_at=workshop.clock.now(),
    )
    (verdict,) = await workshop.storage.verifications.preview([draft], catalogue)
    return verdict


def _mistype(code: Code, recogniser: CodebookRecogniser, catalogue: Catalogue) -> Code:
    """Return the code with one digit changed, such that the place can be pointed at."""
    for place in range(6, len(code.digits)):
        changed = str((int(code.digits[place]) + 1) % 10)
        wrong = _code(code.digits[:place] + changed + code.digits[place + 1 :])
        if recogniser.locate_slip(wrong, catalogue) == (place + 1,):
            return wrong
    raise AssertionError("no single slip of this code can be located")


def _unknown(recogniser: CodebookRecogniser, catalogue: Catalogue) -> Code:
    """Return digits with right check digits that no label carries."""
    for number in range(_UNKNOWN_TRIES):
        body = f"{20000000000 + number:011d}{1234567:07d}"
        code = _code(body + check_digits_for(body))
        if not isinstance(recogniser.recognise(code, catalogue), Recognised):
            return code
    raise AssertionError("a hundred guesses in a row were real codes")


def _code(digits: str) -> Code:
    return Code.parse(digits)
