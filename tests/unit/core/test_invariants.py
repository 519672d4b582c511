"""What a process remembers of what it told, and what it takes for a breach: commits in turn, side by side, retries."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta

import pytest

from app.core.errors import InvariantBroken, StoreUnavailable
from app.core.invariants import BREACH_EVENTS, REFUSED, Doubt, Guard, Invariant, Recent, Witness
from app.core.model.caller import Caller, CallerKind
from app.core.model.verdict import First, Outcome, Verdict, VerificationId
from app.core.model.verification import Draft
from tests.fakes.clock import START
from tests.fakes.memory_store import MemoryStore
from tests.fakes.recording_journal import RecordingJournal
from tests.fakes.sample_service import fixed_keyring, sample_catalogue

CATALOGUE = sample_catalogue(fixed_keyring())
BATCH = CATALOGUE.batches[0]
ONE_FIRST, ORDINALS_GROW, RECORDED = Invariant.ONE_FIRST, Invariant.ORDINALS_GROW, Invariant.RECORDED


def draft(label: int | None = 0, *, message: int | None = None, late_s: float = 0) -> Draft:
    serial = BATCH.first_serial + label if label is not None else None
    return Draft(
        label=CATALOGUE.label(serial, BATCH) if serial is not None else None,
        code_digest=bytes(16) if serial is None else None,
        caller=Caller(kind=CallerKind.WEB),
        channel="web",
        place="",
        received_at=START + timedelta(seconds=late_s),
        message_key=message.to_bytes(16) if message is not None else None,
    )


def told(
    ordinal: int | None, fact: int | None, *, late_s: float = 0, outcome: Outcome | None = None
) -> Verdict:
    usual = Outcome.NOT_FOUND if ordinal is None else Outcome.FIRST if ordinal == 1 else Outcome.REPEAT
    return Verdict(
        outcome=outcome or usual,
        ordinal=ordinal,
        first=First(at=START, channel="web") if ordinal else None,
        recorded_at=START + timedelta(seconds=late_s),
        verification_id=VerificationId(fact) if fact is not None else None,
    )


def broken(witness: Witness, drafts: Sequence[Draft], verdicts: Sequence[Verdict]) -> list[Invariant]:
    """Return what is broken unless the record says otherwise, but for messages that came again."""
    found = witness.examine(witness.begin(), drafts, verdicts)
    return [breach.invariant for breach in found if breach.doubt is not Doubt.ANSWERED_BEFORE]


def test_a_history_in_order_breaks_nothing() -> None:
    witness = Witness()
    for number in range(1, 50):
        assert (
            broken(witness, [draft(), draft(1)], [told(number, 2 * number), told(number, 2 * number + 1)])
            == []
        )


@pytest.mark.parametrize(
    ("query", "verdict", "expected"),
    [
        (draft(), told(1, 9), ONE_FIRST),
        (draft(message=1), told(1, 9), ONE_FIRST),
        (draft(), told(3, 9), ORDINALS_GROW),
        (draft(), told(2, 9), ORDINALS_GROW),
        (draft(message=1), told(3, 9), ORDINALS_GROW),
        (draft(), told(1, 9, outcome=Outcome.RECALLED), ONE_FIRST),
        (draft(), told(4, 9, outcome=Outcome.FIRST), ONE_FIRST),
        (draft(), told(4, None), RECORDED),
        (draft(), told(4, 8), RECORDED),
        (draft(), told(4, 9, late_s=-1), RECORDED),
        (draft(), told(None, 9, outcome=Outcome.REPEAT), RECORDED),
        (draft(None), told(4, 9), RECORDED),
        (draft(None), told(None, None), RECORDED),
    ],
)
def test_each_breach_is_seen(query: Draft, verdict: Verdict, expected: Invariant) -> None:
    witness = Witness()
    assert broken(witness, [draft()], [told(3, 8)]) == []
    assert broken(witness, [draft(5), query], [told(1, 10), verdict]) == [expected]
    assert broken(witness, [draft()], [told(4, 11)]) == [], "what was refused is not remembered as told"


def test_one_fact_for_two_queries_is_a_breach() -> None:
    assert broken(Witness(), [draft(), draft(1)], [told(1, 8), told(1, 8)]) == [RECORDED]


def test_a_message_again_is_old_by_right() -> None:
    witness = Witness()
    assert broken(witness, [draft(message=1), draft(message=1)], [told(1, 8), told(1, 8)]) == []
    assert broken(witness, [draft()], [told(2, 9)]) == []
    for again in (draft(message=1, late_s=60), draft(message=1), draft(4, message=1)):
        assert broken(witness, [again], [told(1, 8)]) == [], again
    assert broken(witness, [draft(4)], [told(1, 10)]) == [], (
        "what another label's message was told is not its own"
    )


def test_what_is_told_while_a_commit_is_under_way_came_neither_before_nor_after() -> None:
    witness = Witness()
    slow = witness.begin()
    assert broken(witness, [draft(), draft()], [told(2, 8), told(3, 9)]) == []
    assert witness.examine(slow, [draft()], [told(1, 7)]) == []
    assert broken(witness, [draft()], [told(2, 10)]) == [ORDINALS_GROW], "this one began after all of them"
    slow = witness.begin()
    assert broken(witness, [draft()], [told(4, 11)]) == []
    (breach,) = witness.examine(slow, [draft()], [told(4, 12)])
    assert breach.invariant is ORDINALS_GROW, "one ordinal twice is wrong at any time"


def test_recalled_voided_and_unknown_labels_are_no_breach() -> None:
    witness = Witness()
    drafts = [draft(0), draft(1), draft(1), draft(None), draft(None)]
    voided = told(None, 3, outcome=Outcome.VOIDED)
    verdicts = [told(1, 1, outcome=Outcome.RECALLED), voided, told(1, 4), told(None, 5), told(None, 6)]
    assert broken(witness, drafts, verdicts) == []


def test_the_memory_is_bounded_and_keeps_the_latest() -> None:
    recent: Recent[int] = Recent(100)
    for number in range(1, 1001):
        recent.put(number, number)
        assert len(recent) <= 200
    assert all(recent.find(number) == number for number in range(901, 1001))
    assert recent.find(1) is None
    witness = Witness(remembered=100)
    for number in range(1000):
        assert (
            broken(witness, [draft(number % 90, message=number)], [told(1 + number // 90, number + 1)]) == []
        )
    assert broken(witness, [draft(5)], [told(3, 5000)]) == [ORDINALS_GROW]


@pytest.mark.parametrize("seed", range(20))
def test_no_history_of_several_processes_is_a_breach(seed: int) -> None:
    """Commits of three processes, two of each at a time, retries with them; ordinals as row locks give them."""
    dice = random.Random(seed)
    witnesses = [Witness(remembered=dice.choice((4, 64))) for _ in range(3)]
    counts, facts, answers = dict.fromkeys(range(6), 0), iter(range(1, 100_000)), dict[int, Verdict]()
    under_way: list[tuple[int, int, list[Draft], list[Verdict]]] = []
    for step in range(400):
        process = dice.randrange(3)
        if sum(one[0] == process for one in under_way) < 2:
            begun, drafts, verdicts = witnesses[process].begin(), list[Draft](), list[Verdict]()
            for _ in range(dice.randrange(1, 6)):
                label, message = dice.randrange(6), dice.choice((None, dice.randrange(200)))
                drafts.append(draft(label, message=message, late_s=step))
                verdict = answers.get(message) if message is not None else None
                if verdict is None:
                    counts[label] += 1
                    verdict = told(counts[label], next(facts), late_s=step)
                if message is not None:
                    answers[message] = verdict
                verdicts.append(verdict)
            under_way.append((process, begun, drafts, verdicts))
        if len(under_way) > 4:
            process, begun, drafts, verdicts = under_way.pop(dice.randrange(len(under_way)))
            found = witnesses[process].examine(begun, drafts, verdicts)
            assert all(breach.doubt is Doubt.ANSWERED_BEFORE for breach in found)


class _Lies(MemoryStore):
    """Answers what it is told to."""

    def __init__(self) -> None:
        super().__init__(CATALOGUE)
        self.begun_anew = 0

    async def start_over(self) -> None:
        self.begun_anew += 1
        await super().start_over()


class TestGuard:
    async def test_what_breaks_nothing_passes_untouched(self) -> None:
        store, journal = _Lies(), RecordingJournal()
        guard, verdicts = Guard(store, journal), [told(1, 1), told(1, 2)]
        assert await guard.admit(guard.begin(), [draft(), draft(1)], verdicts, CATALOGUE) is verdicts
        assert (journal.failures, store.begun_anew) == ([], 0)

    async def test_a_breach_is_refused_alone_and_told_of_and_the_store_starts_over(self) -> None:
        store, journal = _Lies(), RecordingJournal()
        guard = Guard(store, journal)
        await guard.admit(guard.begin(), [draft()], [told(3, 8)], CATALOGUE)
        drafts, verdicts = [draft(1), draft(message=7)], [told(1, 9), told(1, 10)]
        assert await guard.admit(guard.begin(), drafts, verdicts, CATALOGUE) == [verdicts[0], REFUSED]
        assert (
            [event for event, _ in journal.failures] == [BREACH_EVENTS[ONE_FIRST]] == ["invariant_one_first"]
        )
        assert store.begun_anew == 1
        assert not guard.trusts(verdicts[1])
        again = [draft(message=7, late_s=60)]
        assert await guard.admit(guard.begin(), again, [verdicts[1]], CATALOGUE) == [REFUSED]
        assert len(journal.failures) == 1, "one alarm a breach, however often the message comes"

    async def test_a_message_that_another_process_answered_at_this_very_microsecond_is_no_breach(
        self,
    ) -> None:
        store, journal = _Lies(), RecordingJournal()
        guard = Guard(store, journal)
        both = [draft(message=1), draft(message=2)]
        elsewhere, here = await store.record(both, CATALOGUE)
        await guard.admit(guard.begin(), both[1:], [here], CATALOGUE)
        assert await guard.admit(guard.begin(), both[:1], [elsewhere], CATALOGUE) == [elsewhere]
        assert journal.failures == []
        elsewhere_too = draft(3, message=3)
        (third,) = await store.record([elsewhere_too], CATALOGUE)
        await guard.admit(guard.begin(), [draft(4, message=3)], [third], CATALOGUE)
        (first,) = await store.record([draft(4, late_s=1)], CATALOGUE)
        assert await guard.admit(guard.begin(), [draft(4, late_s=1)], [first], CATALOGUE) == [first]
        assert journal.failures == []
        store.facts.clear()
        other = Guard(store, journal)
        await other.admit(other.begin(), both[1:], [here], CATALOGUE)
        assert await other.admit(other.begin(), both[:1], [elsewhere], CATALOGUE) == [REFUSED], (
            "the record is gone"
        )
        assert len(journal.failures) == 1

    async def test_the_answer_of_another_message_is_refused(self) -> None:
        store, journal = _Lies(), RecordingJournal()
        guard, both = Guard(store, journal), [draft(message=1), draft(1, message=2)]
        one, other = await store.record(both, CATALOGUE)
        again = [draft(message=1, late_s=9), draft(1, message=2, late_s=9)]
        assert await guard.admit(guard.begin(), again, [one, other], CATALOGUE) == [one, other]
        assert journal.failures == []
        assert await guard.admit(guard.begin(), again, [one, one], CATALOGUE) == [one, REFUSED]
        assert [event for event, _ in journal.failures] == ["invariant_recorded"]

    async def test_a_doubt_that_cannot_be_asked_about_is_refused_without_an_alarm(self) -> None:
        store, journal = _Lies(), RecordingJournal()
        guard, query = Guard(store, journal), draft(message=1)
        (verdict,) = await store.record([query], CATALOGUE)
        again, store.down = [draft(message=1, late_s=9), draft(1)], True
        other = told(1, 50)
        assert await guard.admit(guard.begin(), again, [verdict, other], CATALOGUE) == [REFUSED, other]
        assert [event for event, _ in journal.failures] == ["commit_failed"]
        store.down = False
        assert await guard.admit(guard.begin(), again[:1], [verdict], CATALOGUE) == [verdict]

    async def test_too_few_verdicts_are_nobodys(self) -> None:
        store, journal = _Lies(), RecordingJournal()
        guard = Guard(store, journal)
        with pytest.raises(InvariantBroken):
            await guard.admit(guard.begin(), [draft(), draft(1)], [told(1, 1)], CATALOGUE)
        assert [event for event, _ in journal.failures] == ["invariant_recorded"]
        assert store.begun_anew == 1

    async def test_a_store_that_cannot_start_over_is_told_of(self) -> None:
        store, journal = _Lies(), RecordingJournal()
        guard, store.down = Guard(store, journal), True
        assert await guard.admit(guard.begin(), [draft()], [told(1, None)], CATALOGUE) == [REFUSED]
        assert [event for event, _ in journal.failures] == ["invariant_recorded", "start_over_failed"]
        assert isinstance(journal.failures[1][1], StoreUnavailable)

    async def test_what_is_remembered_of_refusals_is_bounded(self) -> None:
        guard = Guard(_Lies(), RecordingJournal())
        await guard.admit(guard.begin(), [draft()], [told(3, 20_000)], CATALOGUE)
        drafts = [draft()] * 5000
        verdicts = [told(1, number) for number in range(1, 5001)]
        assert await guard.admit(guard.begin(), drafts, verdicts, CATALOGUE) == [REFUSED] * 5000
        assert not guard.trusts(verdicts[-1])
        assert sum(not guard.trusts(verdict) for verdict in verdicts) == 4096


def test_they_are_kept_by_an_interpreter_that_removes_assertions() -> None:
    source = (
        "from tests.unit.core.test_invariants import *\n"
        "witness = Witness()\n"
        "witness.examine(witness.begin(), [draft()], [told(1, 1)])\n"
        "print(*(b.invariant for b in witness.examine(witness.begin(), [draft()], [told(1, 2)])), __debug__)\n"
    )
    run = subprocess.run(
        [sys.executable, "-O", "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.split() == ["one_first", "False"]
