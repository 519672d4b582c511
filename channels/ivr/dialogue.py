"""The telephone dialogue as a pure function of state and event; see docs/hotline-dialogue.md for the picture.

Every step ends in exactly one thing to wait for, every wait has a way out by silence, and silence alone ends in a
hang-up. Nothing is remembered outside the state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from app.core.model.code import MAX_DIGITS
from app.core.model.verdict import Detail, Outcome, Verdict
from channels.ivr import phrases, speaking
from channels.ivr.actions import Action, Gather, HangUp, Record, Speak, Transfer, Verify
from channels.ivr.events import (
    Answered,
    Event,
    HungUp,
    Keys,
    Recorded,
    Silence,
    Started,
    TransferFailed,
)
from channels.ivr.rules import Rules
from channels.ivr.speaking import BREATH, ending, menu, say
from channels.ivr.states import MAX_LINE, Slip, State, StateName
from channels.wording.locales import LOCALES, resolve_locale

Step = tuple[State, tuple[Action, ...]]

_DIGITS: Final = frozenset("0123456789")
_SLIPS_COUNTED: Final = 3
_NO_ANSWER: Final = frozenset({Outcome.THROTTLED, Outcome.UNAVAILABLE})
_ASKING: Final = frozenset({StateName.VERIFYING, StateName.REPEATING})
_BEING_PUT_THROUGH: Final = frozenset({StateName.OPERATOR, StateName.BRAND})


def step(state: State, event: Event, rules: Rules) -> Step:
    """Return the next state and what to do: speech first, then one of gather, verify, record, transfer, hang up.

    The same arguments give the same step, so a callback delivered twice is answered alike. An event that cannot
    happen in ``state`` changes nothing and asks for the same wait again. Only ``HungUp`` gives no action.
    """
    if isinstance(event, HungUp):
        return _ended(state), ()
    if state.name is StateName.ENDED or (state.name is StateName.NEW and not isinstance(event, Started)):
        return _ended(state), (HangUp(),)
    match event:
        case Started():
            return _started(state, event, rules)
        case Keys():
            return _keyed(state, event, rules)
        case Silence():
            return _silent(state, rules)
        case Answered():
            return _answered(state, event, rules)
        case Recorded():
            return _recorded(state, rules)
        case TransferFailed():
            return _not_put_through(state, rules)
        case _:
            assert_never(event)


# -- waits --------------------------------------------------------------------------------------------------------


def _wait(state: State, rules: Rules) -> Action:
    """Return the one thing that ``state`` waits for."""
    name = state.name
    if name in _ASKING:
        return Verify(digits=state.digits, entry_number=state.entries)
    if name is StateName.REPORTING:
        return Record(max_s=rules.record_s)
    if name is StateName.OPERATOR:
        return Transfer(to="operator")
    if name is StateName.BRAND:
        return Transfer(to="brand", number=state.brand_line)
    if name in {StateName.NEW, StateName.ENDED}:
        return HangUp()
    most = 1
    if name is StateName.ENTRY:
        most = rules.longest
    elif name is StateName.MORE:
        # the lengths may have changed since the caller began
        most = max(1, rules.longest - len(state.digits))
    return Gather(
        max_digits=most,
        first_digit_s=rules.first_digit_s,
        between_s=rules.between_s,
        finish_on_hash=name in {StateName.ENTRY, StateName.MORE},
    )


def _go(state: State, rules: Rules, *speech: Speak) -> Step:
    return state, (*speech, _wait(state, rules))


def _listening(name: StateName, state: State, rules: Rules, *speech: Speak) -> Step:
    """Open the menu of ``name`` after ``speech``."""
    there = replace(state, name=name, silences=0, full=False)
    return _go(there, rules, *speech, menu(there, rules))


def _ended(state: State) -> State:
    """Return the end of the call, in which nothing of it is kept."""
    return State(name=StateName.ENDED, locale=state.locale)


def _finish(state: State, *speech: Speak) -> Step:
    return _ended(state), (*speech, HangUp())


# -- the beginning, silence ------------------------------------------------------------------------------------------


def _started(state: State, event: Started, rules: Rules) -> Step:
    if state.name is not StateName.NEW:
        return _go(state, rules)
    there = State(name=StateName.ENTRY, locale=resolve_locale(event.locale))
    return _go(there, rules, speaking.greeting(there))


def _silent(state: State, rules: Rules) -> Step:
    """Move on without the caller's say: ask once more for a code, otherwise end. Never a transfer."""
    if state.name is StateName.ENTRY and state.silences + 1 < rules.silences:
        there = replace(state, silences=state.silences + 1)
        return _go(there, rules, speaking.silence(there))
    if state.name is StateName.MORE:
        return _verify(state, state.digits, rules)
    if state.name in _ASKING:
        return _finish(state, ending(state, speaking.trouble(state, rules)))
    return _finish(state, ending(state))


# -- keys ------------------------------------------------------------------------------------------------------------


def _keyed(state: State, event: Keys, rules: Rules) -> Step:
    if not event.digits and event.ended == "pause":
        return _silent(state, rules)
    if state.name in _ASKING | _BEING_PUT_THROUGH | {StateName.REPORTING}:
        return _go(state, rules)
    state = replace(state, silences=0, inputs=min(state.inputs + 1, rules.inputs))
    if state.inputs == rules.inputs:
        return _finish(state, ending(state, phrases.LIMIT_CALL))
    if state.name is StateName.ENTRY:
        return _keyed_at_entry(state, event, rules)
    if state.name is StateName.MORE:
        return _keyed_more(state, event, rules)
    return _chosen(state, event.digits[:1], rules)


def _keyed_at_entry(state: State, event: Keys, rules: Rules) -> Step:
    alone = event.digits if event.ended != "length" else ""
    if alone == "0":
        return _to_operator(state, rules)
    if alone == "9":
        there = replace(state, locale=_next_locale(state.locale))
        return _go(there, rules, speaking.entry(there, rules))
    if alone == "*":
        return _go(state, rules, speaking.entry(state, rules))
    digits = _digits_of(event.digits)
    if not digits:
        return _go(state, rules, say(state, phrases.ENTRY_EMPTY))
    if event.ended == "pause" and len(digits) not in rules.lengths and len(digits) < rules.longest:
        there = replace(state, name=StateName.MORE, digits=digits, slip=Slip.NONE, positions=())
        return _go(there, rules, *speaking.more(there))
    return _verify(state, digits, rules, full=event.ended == "length")


def _keyed_more(state: State, event: Keys, rules: Rules) -> Step:
    """Take the rest of a code. A slow hand gets silence to go on in; ``0`` and ``9`` are digits here."""
    if event.digits == "*":
        there = replace(state, name=StateName.ENTRY, digits="")
        return _go(there, rules, speaking.entry(there, rules))
    digits = (state.digits + _digits_of(event.digits))[:MAX_DIGITS]
    if event.ended == "pause" and len(digits) not in rules.lengths and len(digits) < rules.longest:
        return _go(replace(state, digits=digits), rules)
    return _verify(state, digits, rules, full=event.ended == "length")


def _verify(state: State, digits: str, rules: Rules, *, full: bool = False) -> Step:
    there = replace(
        state,
        name=StateName.VERIFYING,
        digits=digits,
        entries=state.entries + 1,
        slip=Slip.NONE,
        positions=(),
        full=full,
        brand_line="",
    )
    return _go(there, rules)


def _chosen(state: State, key: str, rules: Rules) -> Step:
    """Do what a key means in the menu of a verdict or of a parting."""
    if key == "0":
        return _to_operator(state, rules)
    if state.name is StateName.PARTING:
        if key == "9":
            return _listening(state.name, replace(state, locale=_next_locale(state.locale)), rules)
        return _listening(state.name, state, rules, say(state, phrases.MENU_STRAY))
    # a lone # was meant for the code and has cut the verdict off, so that is said again
    if key in {"*", "#", ""}:
        return _go(replace(state, name=StateName.REPEATING), rules)
    if key == "9":
        return _go(replace(state, name=StateName.REPEATING, locale=_next_locale(state.locale)), rules)
    if key == "1":
        return _another(state, rules)
    if key == "2":
        return _report(state, rules)
    return _listening(state.name, state, rules, say(state, phrases.MENU_STRAY))


def _another(state: State, rules: Rules) -> Step:
    if state.entries >= rules.entries:
        return _finish(state, ending(state, phrases.LIMIT_CALL))
    there = replace(state, name=StateName.ENTRY, slips=0, digits="", brand_line="")
    return _go(there, rules, speaking.entry(there, rules))


def _report(state: State, rules: Rules) -> Step:
    """Record a report where the line can, otherwise put the caller through to who takes it."""
    if rules.recording:
        return _go(replace(state, name=StateName.REPORTING), rules, say(state, phrases.REPORT_RECORD))
    if state.brand_line:
        return _go(replace(state, name=StateName.BRAND), rules, say(state, phrases.TRANSFER_BRAND))
    if rules.operator:
        return _to_operator(state, rules)
    return _listening(state.name, state, rules, say(state, phrases.REPORT_NONE))


def _recorded(state: State, rules: Rules) -> Step:
    if state.name is not StateName.REPORTING:
        return _go(state, rules)
    return _listening(StateName.VERDICT, state, rules, say(state, phrases.REPORT_THANKS, BREATH))


def _to_operator(state: State, rules: Rules) -> Step:
    if rules.operator:
        there = replace(state, name=StateName.OPERATOR)
        return _go(there, rules, say(there, phrases.TRANSFER_OPERATOR))
    return _back(state, rules, say(state, phrases.OPERATOR_NONE))


def _not_put_through(state: State, rules: Rules) -> Step:
    if state.name not in _BEING_PUT_THROUGH:
        return _go(state, rules)
    if state.wrong >= rules.wrong_entries or (not state.has_verdict and state.entries >= rules.entries):
        return _finish(state, ending(state, phrases.TRANSFER_FAILED))
    return _back(state, rules, say(state, phrases.TRANSFER_FAILED))


def _back(state: State, rules: Rules, speech: Speak) -> Step:
    """Return from an operator to where the caller came from."""
    if state.has_verdict:
        return _listening(StateName.VERDICT, state, rules, speech)
    if state.name is StateName.PARTING:
        return _listening(StateName.PARTING, state, rules, speech)
    there = replace(state, name=StateName.ENTRY)
    return _go(there, rules, speech, speaking.entry(there, rules))


# -- answers ---------------------------------------------------------------------------------------------------------


def _answered(state: State, event: Answered, rules: Rules) -> Step:
    if state.name not in _ASKING:
        return _go(state, rules)
    verdict, first = event.verdict, speaking.settle(state)
    if verdict.outcome in _NO_ANSWER:
        return _finish(state, *first, ending(state, event.spoken))
    if state.name is StateName.REPEATING:
        return _listening(StateName.VERDICT, state, rules, say(state, event.spoken, BREATH))
    if verdict.outcome is Outcome.MISTYPED:
        return _slipped(state, verdict, rules)
    wrong = state.wrong + verdict.wrong_code
    if wrong >= rules.wrong_entries:
        return _finish(state, *first, ending(state, event.spoken, BREATH, phrases.LIMIT_WRONG))
    there = replace(state, slips=0, wrong=wrong, brand_line=_brand_line(verdict, rules))
    return _listening(StateName.VERDICT, there, rules, *first, say(there, event.spoken, BREATH))


def _slipped(state: State, verdict: Verdict, rules: Rules) -> Step:
    """Hint, then read back, then offer an operator; at a limit of the call, no more codes are taken."""
    first = speaking.settle(state)
    there = replace(
        state,
        name=StateName.ENTRY,
        slips=min(state.slips + 1, _SLIPS_COUNTED),
        wrong=state.wrong + verdict.wrong_code,
        slip=_slip_of(verdict),
        positions=verdict.slip_positions[:2],
        full=False,
    )
    if there.wrong < rules.wrong_entries and there.entries < rules.entries:
        return _go(there, rules, *first, speaking.entry(there, rules))
    limit = phrases.LIMIT_WRONG if there.wrong >= rules.wrong_entries else phrases.LIMIT_CALL
    words = (speaking.slip_hint(there, rules), BREATH, limit)
    if rules.operator and there.slips >= _SLIPS_COUNTED:
        parting = replace(there, digits="", slip=Slip.NONE, positions=())
        return _listening(StateName.PARTING, parting, rules, *first, say(there, *words, BREATH))
    return _finish(there, *first, ending(there, *words))


# -- values ----------------------------------------------------------------------------------------------------------


def _slip_of(verdict: Verdict) -> Slip:
    if verdict.slip_positions:
        return Slip.LOCATED
    return Slip.UNLOCATED if Detail.SLIP_UNLOCATED in verdict.reasons else Slip.LENGTH


def _digits_of(keys: str) -> str:
    """Return the digits among the keys; a star or a letter key between them is a finger that slipped."""
    return "".join(key for key in keys if key in _DIGITS)[:MAX_DIGITS]


def _next_locale(locale: str) -> str:
    return LOCALES[(LOCALES.index(locale) + 1) % len(LOCALES)]


def _brand_line(verdict: Verdict, rules: Rules) -> str:
    """Return the brand's number as it is dialled, "" where it has none or this line may not call it."""
    if not rules.brand_lines or verdict.label is None:
        return ""
    written = verdict.label.service_line.strip()
    number = _digits_of(written)
    return ("+" * written.startswith("+") + number) if 3 <= len(number) < MAX_LINE else ""
