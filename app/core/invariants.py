"""What no store may ever break, watched while the service runs: a verdict that would break it is refused and told of.

Plain conditions, no ``assert`` statements, which ``python -O`` removes. The memory is one process's and bounded: a
label that was asked about long ago is not watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar

from app.core.errors import InvariantBroken, YanzhenError
from app.core.model.catalogue import Catalogue
from app.core.model.value import value
from app.core.model.verdict import Detail, Outcome, Verdict, VerificationId
from app.core.model.verification import Draft, Verification
from app.core.ports.journal import Journal
from app.core.ports.verifications import VerificationStore

V = TypeVar("V")
_Contradicted = tuple[int, VerificationId, datetime | None]
_Told = tuple[int, int, int]  # the highest ordinal told of a label, its fact, the turn it was told in

_REMEMBERED: Final = 16_384
_MOST_REFUSED: Final = 4096
_RETRY_AFTER_S: Final = 5
_COUNTED: Final = frozenset({Outcome.FIRST, Outcome.REPEAT_OWN, Outcome.REPEAT, Outcome.OVER_LIMIT})
REFUSED: Final = Verdict(
    outcome=Outcome.UNAVAILABLE, reasons=(Detail.NOT_RECORDED,), retry_after_s=_RETRY_AFTER_S
)


class Invariant(StrEnum):
    """What must hold of every verdict that leaves."""

    ONE_FIRST = "one_first"  # at most one query of a label is its first
    ORDINALS_GROW = "ordinals_grow"  # above every ordinal that was told before the query's commit began
    RECORDED = "recorded"  # the verdict has a fact, which this commit, or the message's, recorded


BREACH_EVENTS: Final[Mapping[Invariant, str]] = {one: f"invariant_{one.value}" for one in Invariant}


class Doubt(StrEnum):
    """Why a verdict may break nothing after all, which a look into the record shows. Neither is on the usual path."""

    ANSWERED_BEFORE = "answered_before"  # its message came again, and this is the answer stored for it
    SAME_MOMENT = "same_moment"  # its message, or an earlier one, came again within the same microsecond


@value
class Breach:
    """What the verdict at ``place`` in its batch breaks, and why, unless ``doubt`` is answered by the record.

    ``told`` is what it contradicts, if that is why: the ordinal, the fact and when that was recorded.
    """

    place: int
    invariant: Invariant
    why: str
    told: _Contradicted | None = None
    doubt: Doubt | None = None


class Recent(Generic[V]):
    """Remembers what was put under the last ``size`` keys, and of twice as many at most. No value may be false."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._young: dict[int, V] = {}
        self._old: dict[int, V] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, key: int) -> V | None:
        """Return what was put last under ``key``, or None."""
        return self._young.get(key) or self._old.get(key)

    def put(self, key: int, kept: V) -> None:
        """Keep a value."""
        young = self._young
        young[key] = kept
        if len(young) >= self._size:
            self._old, self._young = young, {}


class Witness:
    """Remembers what this process told of labels, by which facts, and holds new verdicts against it. Pure."""

    def __init__(self, *, remembered: int = _REMEMBERED) -> None:
        self._turn = 0
        self._labels: Recent[_Told] = Recent(remembered)
        self._facts: Recent[datetime] = Recent(remembered)  # when each was recorded

    def begin(self) -> int:
        """Return the turn in which a commit begins: what was told in earlier turns was told before."""
        self._turn += 1
        return self._turn

    def examine(self, begun: int, drafts: Sequence[Draft], verdicts: Sequence[Verdict]) -> list[Breach]:
        """Return what the verdicts of a commit that began in turn ``begun`` break; the rest is remembered as told.

        The verdict of a message that was answered before is old by right: of it, only that is in doubt.
        """
        turn = self.begin()
        breaches: list[Breach] = []
        numbers = self._facts
        for place, (draft, verdict) in enumerate(zip(drafts, verdicts, strict=True)):
            fact, at = verdict.verification_id, verdict.recorded_at
            if fact is None or at is None:
                breaches.append(_unrecorded(place, "a verdict came without a fact"))
                continue
            before = numbers.find(fact)
            if before is not None or (at is not draft.received_at and at != draft.received_at):
                why = f"the fact {fact} is that of another query"
                again = _has_message(draft) and (at != draft.received_at or at == before)
                breaches.append(_unrecorded(place, why, Doubt.ANSWERED_BEFORE if again else None))
                continue
            numbers.put(fact, at)
            breach = self._weigh(place, draft, verdict, fact, begun, turn)
            if breach is not None:
                breaches.append(breach)
        return breaches

    def _weigh(
        self, place: int, draft: Draft, verdict: Verdict, fact: VerificationId, begun: int, turn: int
    ) -> Breach | None:
        """Hold a new fact against what was told of its label; several commits may be under way at once."""
        ordinal, label, outcome = verdict.ordinal, draft.label, verdict.outcome
        if ordinal is None:
            return _unrecorded(place, f"the fact {fact} has no ordinal") if outcome in _COUNTED else None
        if label is None:
            doubt = Doubt.ANSWERED_BEFORE if _has_message(draft) else None
            return _unrecorded(place, f"the fact {fact} is of a label, and its query of none", doubt)
        if outcome is Outcome.FIRST and ordinal != 1:
            why = f"the fact {fact} is told as the first, and has the ordinal {ordinal}"
            return Breach(place=place, invariant=Invariant.ONE_FIRST, why=why)
        before = self._labels.find(label.serial)
        if before is not None:
            highest, earlier, told_in = before
            if ordinal < highest and begun < told_in < turn:
                return None  # told while this commit was under way: neither came before the other
            if ordinal <= highest:
                return Breach(
                    place=place,
                    invariant=Invariant.ONE_FIRST if ordinal == 1 else Invariant.ORDINALS_GROW,
                    why=f"the fact {fact} has the ordinal {ordinal} of a label, of which the fact {earlier} was told"
                    f" before with {highest}",
                    told=(highest, VerificationId(earlier), self._facts.find(earlier)),
                    doubt=Doubt.SAME_MOMENT,
                )
        self._labels.put(label.serial, (ordinal, fact, turn))
        return None


class Guard:
    """Stands between the store and everybody who asks: what breaks an invariant is answered ``unavailable``."""

    def __init__(self, store: VerificationStore, journal: Journal, witness: Witness | None = None) -> None:
        self._store = store
        self._journal = journal
        self._witness = witness or Witness()
        # what must not leave, also when its message comes again; by its time too, since a number may be given twice
        self._refused: dict[tuple[VerificationId | None, datetime | None], None] = {}
        self.begin = self._witness.begin

    def trusts(self, verdict: Verdict) -> bool:
        """Tell whether a stored verdict may leave: it was not refused when it was new."""
        return (verdict.verification_id, verdict.recorded_at) not in self._refused

    async def admit(
        self, begun: int, drafts: Sequence[Draft], verdicts: Sequence[Verdict], catalogue: Catalogue
    ) -> Sequence[Verdict]:
        """Return the verdicts of a commit that began in turn ``begun``, each refused that breaks an invariant.

        Each breach is told to the journal, and the store starts over. Raises ``InvariantBroken`` where it is not even
        known which verdict is whose.
        """
        if len(verdicts) != len(drafts):
            error = InvariantBroken(
                f"{len(drafts)} queries were recorded and {len(verdicts)} verdicts came back."
            )
            self._journal.failed(BREACH_EVENTS[Invariant.RECORDED], error)
            await self._start_over()
            raise error
        breaches = self._witness.examine(begun, drafts, verdicts)
        if not breaches and not self._refused:
            return verdicts
        admitted = [verdict if self.trusts(verdict) else REFUSED for verdict in verdicts]
        new = [breach for breach in breaches if self.trusts(verdicts[breach.place])]
        answers = await asyncio.gather(*(self._answer(breach, drafts, verdicts, catalogue) for breach in new))
        for breach, answer in zip(new, answers, strict=True):
            if answer is not True:
                admitted[breach.place] = REFUSED
            if answer is False:
                self._refuse(breach, drafts[breach.place], verdicts[breach.place])
        if False in answers:
            await self._start_over()
        return admitted

    async def _answer(
        self, breach: Breach, drafts: Sequence[Draft], verdicts: Sequence[Verdict], catalogue: Catalogue
    ) -> bool | None:
        """Tell whether the record answers the doubt, so that nothing is broken; None where it cannot be asked."""
        draft, verdict = drafts[breach.place], verdicts[breach.place]
        try:
            if breach.doubt is Doubt.ANSWERED_BEFORE:
                keys = [key for key in (draft.message_key, draft.alias_key) if key is not None]
                return await self._store.find_answer(*keys) == verdict
            if breach.told is not None:
                record = await self._store.find_record(breach.told[1], None, catalogue)
                return _is_old(
                    breach.told, draft, verdict, record.verification if record is not None else None
                )
        except YanzhenError as error:
            self._journal.failed("commit_failed", error)
            return None
        return False

    def _refuse(self, breach: Breach, draft: Draft, verdict: Verdict) -> None:
        """Tell of the breach, and let the verdict not leave later either, unless it may be another query's own."""
        error = InvariantBroken(f"Refused: {breach.why}. {InvariantBroken.__doc__}")
        self._journal.failed(BREACH_EVENTS[breach.invariant], error)
        if verdict.recorded_at == draft.received_at:
            self._refused[verdict.verification_id, verdict.recorded_at] = None
        if len(self._refused) > _MOST_REFUSED:
            del self._refused[next(iter(self._refused))]

    async def _start_over(self) -> None:
        try:
            await self._store.start_over()
        except YanzhenError as error:
            self._journal.failed("start_over_failed", error)


def _is_old(told: _Contradicted, draft: Draft, verdict: Verdict, recorded: Verification | None) -> bool:
    """Tell whether a verdict contradicts what was told only because a message came again at the same microsecond.

    Then one of the two is that message's answer, which looks new: the earlier one where it is of another label, this
    one where its fact is the older of the two. ``recorded`` is what the record holds of the earlier one.
    """
    ordinal, fact, at = told
    if recorded is None or draft.label is None or recorded.recorded_at != at:
        return False
    if recorded.serial != draft.label.serial:
        return True
    older = (verdict.verification_id or fact) < fact
    return older and recorded.ordinal == ordinal and _has_message(draft)


def _has_message(draft: Draft) -> bool:
    return draft.message_key is not None or draft.alias_key is not None


def _unrecorded(place: int, why: str, doubt: Doubt | None = None) -> Breach:
    return Breach(place=place, invariant=Invariant.RECORDED, why=why, doubt=doubt)
