"""Every state a call can reach and every step between, found by trying all kinds of events: for proofs and pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from operator import itemgetter
from typing import Final

from app.core.model.label import LabelSummary
from app.core.model.value import value
from app.core.model.verdict import Detail, Outcome, Verdict
from app.speech.spoken import Phrase
from channels.ivr.actions import Action, Speak
from channels.ivr.dialogue import step
from channels.ivr.events import (
    Answered,
    Ended,
    Event,
    HungUp,
    Keys,
    Recorded,
    Silence,
    Started,
    TransferFailed,
)
from channels.ivr.rules import Rules
from channels.ivr.states import State, StateName
from channels.wording.locales import LOCALES

ANSWER: Final = Phrase(key="answer")  # stands for the spoken reply, whose words are not the dialogue's
_ENDS: tuple[Ended, ...] = ("hash", "length", "pause")
_LABEL = LabelSummary(brand="Brand", product="Product", service_line="400-800-1234")


@value
class Transition:
    """One step: in ``before``, ``event`` led to ``after`` and asked for ``actions``."""

    before: State
    event: Event
    after: State
    actions: tuple[Action, ...]


def verdicts() -> Iterator[Verdict]:
    """Yield a verdict of every kind that the dialogue tells apart; every other outcome goes the way of the first."""
    yield Verdict(outcome=Outcome.FIRST, label=_LABEL)
    yield Verdict(outcome=Outcome.REPEAT)
    for outcome in (Outcome.NOT_FOUND, Outcome.THROTTLED, Outcome.UNAVAILABLE):
        yield Verdict(outcome=outcome)
    for reason, positions in (
        (Detail.WRONG_LENGTH, ()),
        (Detail.SLIP_LOCATED, (2,)),
        (Detail.SLIP_LOCATED, (2, 3)),
        (Detail.SLIP_UNLOCATED, ()),
    ):
        yield Verdict(outcome=Outcome.MISTYPED, reasons=(reason,), slip_positions=positions)


def events(rules: Rules) -> tuple[Event, ...]:
    """Return events of every kind: keys alone, digits of every length that matters, every end, every verdict."""
    shortest, longest = min(rules.lengths), rules.longest
    lengths = sorted({1, shortest - 1, shortest, longest - 1, longest, longest + 1})
    keyed = ["", "#", *"0129*A", "**", "1*2", *("1" * length for length in lengths)]
    return (
        *(Started(locale=locale) for locale in LOCALES),
        *(Keys(digits=digits, ended=ended) for digits in dict.fromkeys(keyed) for ended in _ENDS),
        Silence(),
        *(Answered(verdict=verdict, spoken=(ANSWER,)) for verdict in verdicts()),
        Recorded(),
        TransferFailed(),
        HungUp(),
    )


def alike(state: State) -> State:
    """Return one state for all that behave alike: of digits only their number matters, and inputs only at the limit."""
    if not state.digits and not state.inputs:
        return state
    return replace(state, digits="1" * len(state.digits), inputs=0)


def explore(
    rules: Rules, tried: tuple[Event, ...] | None = None, kind_of: Callable[[State], State] = alike
) -> Iterator[Transition]:
    """Yield every step by ``tried`` (all kinds of events) from every state that can be reached.

    States for which ``kind_of`` is the same are taken together.
    """
    tried = events(rules) if tried is None else tried
    met, seen, waiting = {State()}, {State()}, deque([State()])
    while waiting:
        before = waiting.popleft()
        for event in tried:
            after, actions = step(before, event, rules)
            yield Transition(before=before, event=event, after=after, actions=actions)
            if after in met:
                continue
            met.add(after)
            found = kind_of(after)
            if found not in seen:
                seen.add(found)
                waiting.append(found)


def longest_listening(
    rules: Rules,
    locale: str,
    answers: Sequence[Answered],
    lasting: Callable[[Speak], float],
    *,
    digits: str,
    slips: int = 3,
) -> tuple[float, tuple[Event, ...]]:
    """Return how long a call can make somebody listen who asks for one code and nothing else, and the way there.

    Such a caller interrupts nothing and asks for nothing a second time, but does all the rest wherever it is possible:
    is silent before every entry, pauses within every entry of ``digits`` (a whole code), slips up to ``slips`` times,
    and hears any of ``answers``. ``lasting`` is the time of a speech with its pauses, as a provider plays
    it, in the unit of the result.
    """
    half = len(digits) // 2
    first, rest = Keys(digits=digits[:half], ended="pause"), Keys(digits=digits[half:], ended="length")
    right = tuple(answer for answer in answers if answer.verdict.outcome is not Outcome.MISTYPED)

    def happens(state: State) -> tuple[Event, ...]:
        match state.name:
            case StateName.NEW:
                return (Started(locale=locale),)
            case StateName.ENTRY:
                return (Silence(), first) if state.entries <= slips else (Silence(),)
            case StateName.MORE:
                return (rest,)
            case StateName.VERIFYING:
                return tuple(answers) if state.entries <= slips else right
            case _:
                return (Silence(),)

    @cache
    def longest(state: State) -> tuple[float, tuple[Event, ...]]:
        ways: list[tuple[float, tuple[Event, ...]]] = []
        for event in happens(state) if state.name is not StateName.ENDED else ():
            after, actions = step(state, event, rules)
            heard = sum(lasting(action) for action in actions if isinstance(action, Speak))
            there, way = longest(after)
            ways.append((heard + there, (event, *way)))
        return max(ways, key=itemgetter(0), default=(0.0, ()))

    return longest(State())
