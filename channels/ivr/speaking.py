"""What is said where: the words that go with a state, without deciding anything."""

from __future__ import annotations

from typing import Final

from app.core.model.verdict import Detail, Outcome, Verdict
from app.speech import phrasing
from app.speech.spoken import Pause, Phrase, Spoken
from channels.ivr import phrases
from channels.ivr.actions import Speak
from channels.ivr.rules import Rules
from channels.ivr.states import Slip, State, StateName

SETTLE: Final = Pause(ms=600)  # with the way to the answer, nearly a second since the last digit
BREATH: Final = Pause(ms=180)
_REASONS: Final = {
    Slip.LENGTH: Detail.WRONG_LENGTH,
    Slip.LOCATED: Detail.SLIP_LOCATED,
    Slip.UNLOCATED: Detail.SLIP_UNLOCATED,
}
_READ_BACK_AT: Final = 2
_OPERATOR_AT: Final = 3


def say(state: State, *parts: Phrase | Pause | Spoken) -> Speak:
    """Return one speech in the language of the call, made of phrases and of what is already spoken."""
    spoken = tuple(item for part in parts for item in (part if isinstance(part, tuple) else (part,)))
    return Speak(spoken=spoken, locale=state.locale)


def settle(state: State) -> tuple[Speak, ...]:
    """Return a moment without ears after an entry that ended by its length.

    People press ``#`` behind the last digit all the same; it must not cut the answer off.
    """
    return (Speak(spoken=(SETTLE,), locale=state.locale, interruptible=False),) if state.full else ()


def greeting(state: State) -> Speak:
    """Return the greeting, the offer of the other language, and what to do."""
    return say(state, phrases.GREETING, phrases.LANGUAGE_OFFER, BREATH, phrases.ENTRY_PROMPT)


def entry(state: State, rules: Rules) -> Speak:
    """Return what asks for a code: the prompt, or what is to be mended in the last one."""
    if state.slip is Slip.NONE:
        return say(state, phrases.ENTRY_PROMPT)
    hint = slip_hint(state, rules) if state.slips < _READ_BACK_AT else _short_hint(state, rules)
    if state.slips >= _OPERATOR_AT:
        offer = phrases.SLIP_OPERATOR if rules.operator else phrases.SLIP_NO_OPERATOR
        return say(state, hint, BREATH, offer)
    if state.slips == _READ_BACK_AT:
        return say(state, _read_back(state, rules), hint, BREATH, phrases.ENTRY_ONCE_MORE)
    # the hint about the length asks for all the digits by itself
    again = () if state.slip is Slip.LENGTH else (BREATH, phrases.ENTRY_AGAIN)
    return say(state, hint, again)


def _read_back(state: State, rules: Rules) -> Spoken:
    """Return the digits keyed in, in fours; nothing where they are more than a slip of one key too many explains."""
    if len(state.digits) > rules.longest + 1:
        return ()
    return (phrases.SLIP_READ_BACK, BREATH, *phrasing.code(state.digits), BREATH)


def slip_hint(state: State, rules: Rules) -> Spoken:
    """Return the reply's own words for the slip, so that all channels say the same of it."""
    verdict = Verdict(
        outcome=Outcome.MISTYPED, reasons=(_REASONS[state.slip],), slip_positions=state.positions
    )
    return rules.wording.reply(verdict, state.locale).spoken


def _short_hint(state: State, rules: Rules) -> Spoken:
    """Return the part of the reply's words that a later slip still needs; hearing all of them thrice takes too long.

    What goes first is the advice that was heard before: that a slip says nothing about the product, that codes are
    compared in fours (one read back has just been), that all digits are needed. What is wrong this time is always said.
    """
    hint = slip_hint(state, rules)
    pause = next((at for at, item in enumerate(hint) if isinstance(item, Pause)), None)
    if pause is None:
        return hint
    return hint[pause + 1 :] if state.slip is Slip.UNLOCATED else hint[:pause]


def trouble(state: State, rules: Rules) -> Spoken:
    """Return the words for an answer that did not come."""
    return rules.wording.reply(Verdict(outcome=Outcome.UNAVAILABLE), state.locale).spoken


def silence(state: State) -> Speak:
    """Return what is said to a caller who has pressed nothing; one who is mending a code knows what to key in."""
    return say(state, phrases.ENTRY_SILENCE if state.slip is Slip.NONE else phrases.ENTRY_ONCE_MORE)


def more(state: State) -> tuple[Speak, ...]:
    """Return what is said to a hand that pauses: nothing while a code is mended, since it cuts into the digits."""
    return () if state.slips else (say(state, phrases.ENTRY_MORE),)


def menu(state: State, rules: Rules) -> Speak:
    """Return the choices after a verdict, or when no more codes can be checked."""
    if state.name is StateName.PARTING:
        return say(state, phrases.MENU_OPERATOR)
    choices = [phrases.MENU_REPEAT, phrases.MENU_ANOTHER]
    if rules.recording or state.brand_line or rules.operator:
        choices.append(phrases.MENU_REPORT)
    if rules.operator:
        choices.append(phrases.MENU_OPERATOR)
    return say(state, *choices)


def ending(state: State, *first: Phrase | Pause | Spoken) -> Speak:
    """Return last words, with the goodbye."""
    return say(state, *first, BREATH, phrases.GOODBYE) if first else say(state, phrases.GOODBYE)
