"""Values of calls for the tests of the dialogue: rules, states, and what the actions say."""

from __future__ import annotations

from functools import cache

from app.speech.spoken import Phrase, Spoken
from channels.ivr.actions import Action, Speak
from channels.ivr.rules import Rules
from channels.wording.reply import Wording

CODE = "1234567890123456"
SHORT_CODE = "12345678901234"
ANSWER = Phrase(key="answer")


@cache
def wording() -> Wording:
    return Wording.load("Asia/Shanghai")


def rules_with(**changes: object) -> Rules:
    """Rules for codes of 14 and 16 digits on a line with operators that neither records nor calls brands."""
    given: dict[str, object] = {"lengths": frozenset({14, 16}), "operator": True, **changes}
    return Rules(wording=wording(), **given)  # type: ignore[arg-type]


def said(actions: tuple[Action, ...]) -> list[str]:
    """The keys of all phrases in the order they are played."""
    return [item.key for action in actions if isinstance(action, Speak) for item in phrases_of(action.spoken)]


def phrases_of(spoken: Spoken) -> list[Phrase]:
    return [item for item in spoken if isinstance(item, Phrase)]
