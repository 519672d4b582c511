"""The dialogue, checked over every state that a call can reach: nothing here is sampled but the hostile bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Undecodable
from app.speech.spoken import Phrase
from channels.ivr.actions import Gather, HangUp, Record, Speak, Transfer, Verify
from channels.ivr.dialogue import step
from channels.ivr.events import Answered, HungUp, Keys, Recorded, Silence, Started, TransferFailed
from channels.ivr.exploring import ANSWER, Transition, alike, explore, longest_listening, verdicts
from channels.ivr.rules import Rules
from channels.ivr.states import State, StateName
from channels.wording.locales import LOCALES
from channels.wording.reply import Wording

pytestmark = pytest.mark.xdist_group("every-call")  # every call is made once

# what a line can do (operator, recording, brand lines): everything, nothing, each alone
LINES = [
    (True, True, True),
    (False, False, False),
    (True, False, False),
    (False, True, False),
    (False, False, True),
]
LONGEST = 3
LENGTHS = frozenset({2, LONGEST})
MAX_TOKEN_BYTES = 120
SILENT_STEPS = 4  # a paused code: checked, hinted at, asked for once more, goodbye
# A step may speak: the moment without ears, the answer, a limit or what failed, the menu.
MAX_SPEECHES = 3
MOST_PHRASES = (
    47  # of a call for one code with three slips, the digits of the read-back and answers as one apart
)
MAX_PHRASES = 8  # beside the digits of a read-back, at most one more than the longest code


@cache
def wording() -> Wording:
    return Wording.load("Asia/Shanghai")


@cache
def transitions(operator: bool, recording: bool, brand_lines: bool) -> tuple[Transition, ...]:
    """Every step of a line; the one that has everything keeps the real number of wrong entries."""
    whole = operator and recording and brand_lines
    rules = Rules(
        wording=wording(),
        lengths=LENGTHS,
        operator=operator,
        recording=recording,
        brand_lines=brand_lines,
        wrong_entries=3 if whole else 2,
        entries=4 if whole else 3,
    )
    return tuple(explore(rules))


def every_transition() -> Iterator[Transition]:
    for line in LINES:
        yield from transitions(*line)


def by_caller(step_made: Transition) -> bool:
    """Whether the caller did it: pressed a key or spoke."""
    event = step_made.event
    return isinstance(event, Recorded) or (
        isinstance(event, Keys) and bool(event.digits or event.ended != "pause")
    )


def can_happen(step_made: Transition) -> bool:
    """Whether an adapter could report this event to this state, which waits for something else otherwise."""
    name, event = step_made.before.name, step_made.event
    match event:
        case Started():
            return name is StateName.NEW
        case Answered():
            return name in {StateName.VERIFYING, StateName.REPEATING}
        case Recorded():
            return name is StateName.REPORTING
        case TransferFailed():
            return name in {StateName.OPERATOR, StateName.BRAND}
        case Keys():
            return name in {StateName.ENTRY, StateName.MORE, StateName.VERDICT, StateName.PARTING}
        case Silence() | HungUp():
            return True


def test_every_state_is_reached() -> None:
    reached = {step_made.after.name for step_made in every_transition()} | {StateName.NEW}
    assert reached == set(StateName)


def test_every_step_ends_in_one_wait_and_speaks_before_it() -> None:
    for made in every_transition():
        if isinstance(made.event, HungUp):
            assert made.actions == ()
            continue
        *speech, wait = made.actions
        assert all(isinstance(action, Speak) and action.spoken for action in speech)
        assert isinstance(wait, Gather | Verify | Record | Transfer | HangUp)
        assert isinstance(wait, HangUp) is (made.after.name is StateName.ENDED)
        if isinstance(wait, Gather):
            assert 1 <= wait.max_digits <= LONGEST
            assert (wait.first_digit_s, wait.between_s) == (8, 5)
        if isinstance(wait, Verify):
            assert wait.digits
            assert wait.entry_number >= 1


def test_every_state_has_a_way_out_by_silence_that_is_no_transfer() -> None:
    silent = [made for made in every_transition() if isinstance(made.event, Silence)]
    assert {made.before.name for made in silent} == set(StateName)
    for made in silent:
        assert made.after != made.before or made.before.name is StateName.ENDED
        assert not any(isinstance(action, Transfer | Record) for action in made.actions)


def test_nothing_goes_round_without_the_callers_say() -> None:
    """Without a key or a word, whatever the engine and the transfers answer, a call ends within a few steps."""
    for line in LINES:
        onward: dict[State, set[State]] = defaultdict(set)
        for made in transitions(*line):
            if can_happen(made) and not by_caller(made) and made.before.name is not StateName.ENDED:
                onward[alike(made.before)].add(alike(made.after))
        assert longest_way(onward) == SILENT_STEPS


def longest_way(onward: dict[State, set[State]]) -> int:
    """Return the most steps in a row; fails where they go round."""
    order = TopologicalSorter(onward).static_order()  # raises CycleError; what is led to comes first
    ways: dict[State, int] = {}
    for state in order:
        ways[state] = max((1 + ways[there] for there in onward.get(state, ())), default=0)
    return max(ways.values())


def test_silence_alone_ends_every_call() -> None:
    rules = Rules(wording=wording(), lengths=LENGTHS, operator=True, recording=True, brand_lines=True)
    unlocated = next(
        made.event
        for made in transitions(True, True, True)
        if isinstance(made.event, Answered) and made.event.verdict.slip_positions
    )
    for start in {made.before for made in transitions(True, True, True)}:
        state, waits = start, 0
        while state.name is not StateName.ENDED:
            asking = state.name in {StateName.VERIFYING, StateName.REPEATING}
            state, _ = step(state, unlocated if asking else Silence(), rules)
            waits += not asking
            assert waits <= SILENT_STEPS


def test_what_one_step_says_is_bounded() -> None:
    for made in every_transition():
        speeches = [action for action in made.actions if isinstance(action, Speak)]
        assert len(speeches) <= MAX_SPEECHES
        phrases = [item.key for speech in speeches for item in speech.spoken if isinstance(item, Phrase)]
        digits = [key for key in phrases if key.startswith("digit.")]
        assert len(phrases) - len(digits) <= MAX_PHRASES
        assert len(digits) <= LONGEST + 1


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("locale", LOCALES)
def test_what_a_call_says_is_bounded(line: tuple[bool, bool, bool], locale: str) -> None:
    """Somebody who asks for one code and nothing else; the seconds are held to in the acceptance tests."""
    operator, recording, brand_lines = line
    rules = Rules(
        wording=wording(), lengths=LENGTHS, operator=operator, recording=recording, brand_lines=brand_lines
    )
    answers = tuple(Answered(verdict=verdict, spoken=(ANSWER,)) for verdict in verdicts())

    def phrases(speech: Speak) -> int:
        return sum(isinstance(item, Phrase) for item in speech.spoken)

    most, way = longest_listening(rules, locale, answers, phrases, digits="1" * LONGEST)
    assert most <= MOST_PHRASES
    assert sum(isinstance(event, Answered) for event in way) == 4
    state, said = State(), 0
    for event in way:
        state, actions = step(state, event, rules)
        said += sum(phrases(action) for action in actions if isinstance(action, Speak))
    assert (state.name, said) == (StateName.ENDED, most)


def test_every_call_is_bounded() -> None:
    """Each key counts and nothing counts back, so a call has at most as many turns as the rules allow inputs."""
    for made in every_transition():
        if made.after.name is StateName.ENDED or not can_happen(made):
            continue
        keyed = isinstance(made.event, Keys) and by_caller(made)
        assert made.after.inputs == made.before.inputs + keyed
        assert made.after.entries >= made.before.entries
        assert made.after.wrong >= made.before.wrong


def test_counters_stay_within_the_rules() -> None:
    for made in transitions(True, True, True):
        state = made.after
        assert state.silences < 2
        assert state.slips <= 3
        assert state.entries <= 4
        assert state.wrong < 3 or state.name in {StateName.PARTING, StateName.OPERATOR}


def test_a_verification_is_asked_once_for_each_number() -> None:
    """A number is new with a new entry and is repeated only for the same digits, so one entry is one query."""
    for made in every_transition():
        wait = made.actions[-1] if made.actions else None
        if not isinstance(wait, Verify):
            continue
        if made.before.name in {StateName.ENTRY, StateName.MORE}:
            assert wait.entry_number == made.before.entries + 1
        else:
            assert (wait.entry_number, wait.digits) == (made.before.entries, made.before.digits)


def test_what_cannot_happen_changes_nothing() -> None:
    for made in every_transition():
        if can_happen(made) or made.before.name in {StateName.NEW, StateName.ENDED}:
            continue
        if isinstance(made.event, Keys) and made.event.ended == "pause" and not made.event.digits:
            continue  # a silence
        assert made.after == made.before
        assert len(made.actions) == 1


def test_states_taken_together_behave_alike() -> None:
    """Exploring by the number of digits is fair: other digits lead to the same state, but for the digits."""
    rules = Rules(wording=wording(), lengths=LENGTHS, operator=True, recording=True, brand_lines=True)
    rules = replace(rules, entries=4)
    for made in transitions(True, True, True):
        if not made.before.digits:
            continue
        other = replace(made.before, digits="7" * len(made.before.digits), inputs=40)
        after, actions = step(other, made.event, rules)
        assert alike(after) == alike(made.after)
        assert [type(action) for action in actions] == [type(action) for action in made.actions]


# -- as bytes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES)
def test_every_state_comes_back_from_its_bytes(line: tuple[bool, bool, bool]) -> None:
    states = {made.after for made in transitions(*line)}
    written = {state.to_bytes(): state for state in states}
    assert len(written) == len(states)
    for data, state in written.items():
        assert State.from_bytes(data) == state


def test_the_largest_state_is_small() -> None:
    largest = State(
        name=StateName.VERDICT,
        silences=250,
        wrong=250,
        entries=250,
        inputs=250,
        digits="9" * 64,
        brand_line="+" + "9" * 19,
    )
    assert len(largest.to_bytes()) <= MAX_TOKEN_BYTES // 2
    assert State.from_bytes(largest.to_bytes()) == largest
    assert len(State(name=StateName.VERDICT, digits="9" * 20).to_bytes()) <= 24


def real_states() -> st.SearchStrategy[State]:
    return st.sampled_from(sorted({made.after for made in transitions(True, True, True)}, key=State.to_bytes))


REAL_STATES = st.deferred(real_states)  # found when a test asks, not when tests are collected


@given(st.binary(max_size=80))
def test_other_bytes_are_refused(data: bytes) -> None:
    assert_refused_or_same(data)


@given(REAL_STATES, st.integers(0, 79), st.integers(1, 255))
def test_changed_bytes_are_refused_or_another_sound_state(state: State, at: int, change: int) -> None:
    data = bytearray(state.to_bytes())
    data[at % len(data)] ^= change
    assert_refused_or_same(bytes(data))


@given(REAL_STATES, st.integers(0, 79), st.binary(min_size=1, max_size=3))
def test_cut_and_longer_bytes_are_refused(state: State, end: int, more: bytes) -> None:
    data = state.to_bytes()
    with pytest.raises(Undecodable):
        State.from_bytes(data[: end % len(data)])
    with pytest.raises(Undecodable):
        State.from_bytes(data + more)


def assert_refused_or_same(data: bytes) -> None:
    """Bytes are refused with the one error, or they are exactly what a state is written as, and it can go on."""
    try:
        state = State.from_bytes(data)
    except Undecodable:
        return
    assert state.to_bytes() == data
    rules = Rules(wording=wording(), lengths=frozenset({16, 20}), operator=True)
    for event in (Silence(), Keys(digits="1", ended="hash"), TransferFailed(), Recorded()):
        after, _ = step(state, event, rules)
        assert State.from_bytes(after.to_bytes()) == after


def test_another_version_is_refused() -> None:
    data = State().to_bytes()
    with pytest.raises(Undecodable):
        State.from_bytes(bytes((data[0] + 1,)) + data[1:])


# -- the way most calls go --------------------------------------------------------------------------------


def test_the_first_match_takes_three_turns() -> None:
    rules = Rules(wording=wording(), lengths=frozenset({20}), operator=True)
    found = next(made.event for made in transitions(True, True, True) if isinstance(made.event, Answered))
    state = State()
    path = [state.name]
    for event in (Started(), Keys(digits="1" * 20, ended="length"), found, Silence()):
        state, _ = step(state, event, rules)
        path.append(state.name)
    assert path == ["new", "entry", "verifying", "verdict", "ended"]
    assert all(before != after for before, after in pairwise(path))
