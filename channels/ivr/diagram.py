"""docs/hotline-dialogue.md, made by running the dialogue: a picture of its states and a table of what is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from app.core.model.verdict import Outcome
from app.speech.spoken import Phrase
from channels.ivr.actions import Action, Speak
from channels.ivr.events import Answered, Event, HungUp, Keys, Recorded, Silence, Started, TransferFailed
from channels.ivr.exploring import ANSWER, Transition, alike, explore, verdicts
from channels.ivr.phrases import MENU, PHRASES
from channels.ivr.rules import Rules
from channels.ivr.states import State, StateName
from channels.wording.locales import DEFAULT_LOCALE
from channels.wording.reply import Wording

_SHOWN: Final = (*PHRASES, ANSWER)
_CODING: Final = frozenset({StateName.ENTRY, StateName.MORE})
_CHOOSING: Final = frozenset({StateName.VERDICT, StateName.PARTING})
_ASKING: Final = frozenset({StateName.VERIFYING, StateName.REPEATING})
_PUT_THROUGH: Final = frozenset({StateName.OPERATOR, StateName.BRAND})
_LIVE: Final = frozenset(StateName) - {StateName.NEW, StateName.ENDED}
_HINT: Final = "slip hint"
_MENU: Final = "menu"
_LINES: Final = ((True, True, True), (True, False, True), (True, False, False), (False, False, False))

_ALIKE: Final = frozenset({Outcome.FIRST, Outcome.REPEAT})

_STATES: Final[Mapping[StateName, str]] = {
    StateName.NEW: "nothing is said yet",
    StateName.ENTRY: "waiting for a code",
    StateName.MORE: "waiting for the rest of a code whose keys paused",
    StateName.VERIFYING: "waiting for the engine's answer",
    StateName.REPEATING: "waiting for the stored answer, to say it again",
    StateName.VERDICT: "the verdict is said, the menu is open",
    StateName.PARTING: "no more codes in this call, an operator is offered",
    StateName.REPORTING: "the caller speaks into a recording",
    StateName.OPERATOR: "being put through to an operator",
    StateName.BRAND: "being put through to the brand's service line",
    StateName.ENDED: "the call is over",
}


def _happenings() -> tuple[tuple[str, Event, frozenset[StateName]], ...]:
    """Return what the page shows: its name there, an event that stands for it, and the states it belongs to."""
    keyed: tuple[tuple[str, Event, frozenset[StateName]], ...] = (
        ("a code", Keys(digits="111", ended="length"), _CODING),
        ("part of a code, then a pause", Keys(digits="1", ended="pause"), _CODING),
        ("part of a code, then hash", Keys(digits="11", ended="hash"), _CODING),
        ("hash alone", Keys(digits="", ended="hash"), _CODING | _CHOOSING),
        ("a key without meaning", Keys(digits="A", ended="hash"), _CODING | _CHOOSING),
        ("star alone", Keys(digits="*", ended="hash"), _CODING),
        ("0 alone", Keys(digits="0", ended="hash"), frozenset({StateName.ENTRY})),
        ("9 alone", Keys(digits="9", ended="hash"), frozenset({StateName.ENTRY})),
        ("star", Keys(digits="*", ended="length"), frozenset({StateName.VERDICT})),
        *((key, Keys(digits=key, ended="length"), _CHOOSING) for key in "09"),
        *((key, Keys(digits=key, ended="length"), frozenset({StateName.VERDICT})) for key in "12"),
    )
    answers = tuple(
        (
            "any other verdict" if verdict.outcome in _ALIKE else verdict.outcome.value,
            Answered(verdict=verdict, spoken=(ANSWER,)),
            _ASKING,
        )
        for verdict in verdicts()
        if len(verdict.slip_positions) < 2
    )
    return (
        ("answered", Started(), frozenset({StateName.NEW})),
        *keyed,
        *answers,
        ("recorded", Recorded(), frozenset({StateName.REPORTING})),
        ("not put through", TransferFailed(), _PUT_THROUGH),
        ("silence", Silence(), _LIVE),
        ("hung up", HungUp(), _LIVE),
    )


def dialogue_page(wording: Wording) -> str:
    """Return the page; the same machine gives the same bytes."""
    rows = _rows(wording)
    edges = {(before, label, after): None for before, label, _, after in rows if label != "hung up"}
    return "\n".join(
        (
            "# The hotline's dialogue",
            "<!-- made by `yanzhen reference --write`; change the code, not this file -->",
            "",
            "Every step ends in one thing to wait for, and every wait has a way out by silence. A caller who only",
            "listens reaches the end: nothing goes round without a key. Hanging up ends the call in every state. A",
            "call also ends after 120 inputs.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            f"    [*] --> {StateName.NEW}",
            *_picture(edges),
            f"    {StateName.ENDED} --> [*]",
            "```",
            "",
            "| state | meaning |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in _STATES.items()),
            "",
            "## What is said",
            "",
            "Keys of `voice_prompts/<locale>/prompts.toml`, in the order they are played; `answer` is the spoken form",
            f"of the verdict, `{_HINT}` that of a slip, `{_MENU}` the choices that this line has. Several rows for one",
            "event are told apart by counters (silences in a row, slips of this code, wrong codes and all codes of the",
            "call), by the reason of a slip, and by whether the line records, has operators and calls brands.",
            "",
            "| state | what happens | what is said | then |",
            "|---|---|---|---|",
            *(
                f"| `{before}` | {label} | {', '.join(f'`{word}`' for word in said) or 'nothing'} | `{after}` |"
                for before, label, said, after in rows
            ),
            "",
        )
    )


Row = tuple[StateName, str, tuple[str, ...], StateName]


def _rows(wording: Wording) -> tuple[Row, ...]:
    """Return every step that the page shows, once, in the order of states and of what can happen."""
    happenings = _happenings()
    known = {event: (label, shown) for label, event, shown in happenings}
    rows: set[Row] = set()
    for operator, recording, brand_lines in _LINES:
        rules = Rules(
            wording=wording,
            lengths=frozenset({3}),
            operator=operator,
            recording=recording,
            brand_lines=brand_lines,
            entries=4,
        )
        for transition in explore(rules, tuple(known), _kind):
            label, shown = known[transition.event]
            if transition.before.name in shown:
                rows.add((transition.before.name, label, _said(transition), transition.after.name))
    states = tuple(StateName)
    labels = tuple(dict.fromkeys(label for label, _, _ in happenings))
    return tuple(
        sorted(
            rows, key=lambda row: (states.index(row[0]), labels.index(row[1]), states.index(row[3]), row[2])
        )
    )


def _kind(state: State) -> State:
    """Return one state for all that differ in nothing the page shows."""
    return replace(alike(state), locale=DEFAULT_LOCALE, full=False)


def _said(transition: Transition) -> tuple[str, ...]:
    """Return the phrases of the speech by their keys, without numbers; a slip's own words as one."""
    words: list[str] = []
    for phrase in _phrases(transition.actions):
        if phrase in MENU:
            words.append(_MENU)
        elif phrase in _SHOWN:
            words.append(phrase.key)
        elif not phrase.key.startswith("digit.") and words[-1:] != [_HINT]:
            words.append(
                "answer"
                if isinstance(transition.event, Silence) and transition.before.name in _ASKING
                else _HINT
            )
    return tuple(dict.fromkeys(words))


def _phrases(actions: Iterable[Action]) -> Iterable[Phrase]:
    for action in actions:
        if isinstance(action, Speak):
            yield from (item for item in action.spoken if isinstance(item, Phrase))


def _picture(edges: Iterable[tuple[StateName, str, StateName]]) -> Iterable[str]:
    """Yield one arrow for each pair of states, with all that leads along it."""
    labels: dict[tuple[StateName, StateName], list[str]] = {}
    for before, label, after in edges:
        labels.setdefault((before, after), []).append(label)
    for (before, after), along in labels.items():
        yield f"    {before} --> {after}: {', '.join(along)}"
