"""What a turn of the dialogue asks of the switch, as the dialect writes it: speech, and one thing to wait for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, assert_never

from app.core.errors import Undecodable
from app.core.model.value import value

_SOUND: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*){0,8}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,150}")
_NUMBER: Final = re.compile(r"\+?[0-9]{1,20}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_=.~-]{0,900}")  # GET VARIABLE cuts at 1023 octets
_MOST_ITEMS: Final = 300
_LONGEST_SOUND: Final = 200  # characters
_LONGEST_SOUND_MS: Final = 600_000
_LONGEST_PAUSE_MS: Final = 10_000
_MOST_DIGITS: Final = 64


@value
class GatherKeys:
    """Take at most ``max_digits`` keys; ``first_digit_s`` from the end of the speech, ``between_s`` from each key."""

    max_digits: int
    first_digit_s: int
    between_s: int


@value
class RecordReport:
    """Record what the caller says into the file ``name``, at most ``max_s`` seconds."""

    max_s: int
    name: str


@value
class PutThrough:
    """Leave the caller to the dialplan, which calls ``number``."""

    number: str


@value
class EndCall:
    """End the call."""


Wait = GatherKeys | RecordReport | PutThrough | EndCall


@value
class Script:
    """``say`` holds names of sounds and pauses in milliseconds; ``state`` comes back with the next turn.

    Before keys are gathered, one that is pressed stops the speech and counts, except during the first ``deaf`` items.
    ``lengths_ms`` tells how long sounds are, where that is known.
    """

    say: tuple[str | int, ...]
    deaf: int
    lengths_ms: Mapping[str, int]
    wait: Wait
    state: str


def read_script(body: bytes) -> Script:
    """Return the script in a response's body. Raises ``Undecodable``."""
    try:
        told = json.loads(body)
        say, state = tuple(_item(item) for item in told["say"]), told["state"]
        if len(say) > _MOST_ITEMS or not _TOKEN.fullmatch(state):
            raise ValueError("out of bounds")
        lengths = {
            str(name): _count(ms, _LONGEST_SOUND_MS) for name, ms in told.get("lengths_ms", {}).items()
        }
        deaf = _count(told["deaf"], _MOST_ITEMS) if told.get("deaf") else 0
        return Script(say=say, deaf=deaf, lengths_ms=lengths, wait=_wait(told["then"]), state=state)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise Undecodable("This is no script for a switch.") from error


def write_script(script: Script) -> bytes:
    """Return the body that :func:`read_script` reads; equal scripts give equal bytes."""
    told = {
        "say": script.say,
        "deaf": script.deaf,
        "lengths_ms": dict(script.lengths_ms),
        "then": _told(script.wait),
        "state": script.state,
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _told(wait: Wait) -> dict[str, str | int]:
    match wait:
        case GatherKeys():
            return {
                "do": "gather",
                "max_digits": wait.max_digits,
                "first_digit_s": wait.first_digit_s,
                "between_s": wait.between_s,
            }
        case RecordReport():
            return {"do": "record", "max_s": wait.max_s, "name": wait.name}
        case PutThrough():
            return {"do": "transfer", "to": wait.number}
        case EndCall():
            return {"do": "hangup"}
        case _:
            assert_never(wait)


def _item(item: object) -> str | int:
    if isinstance(item, str) and len(item) <= _LONGEST_SOUND and _SOUND.fullmatch(item):
        return item
    return _count(item, _LONGEST_PAUSE_MS)


def _wait(then: Mapping[str, object]) -> Wait:
    match then["do"]:
        case "gather":
            return GatherKeys(
                max_digits=_count(then["max_digits"], _MOST_DIGITS),
                first_digit_s=_count(then["first_digit_s"], 60),
                between_s=_count(then["between_s"], 60),
            )
        case "record":
            return RecordReport(max_s=_count(then["max_s"], 600), name=_text(then["name"], _FILE))
        case "transfer":
            return PutThrough(number=_text(then["to"], _NUMBER))
        case "hangup":
            return EndCall()
        case _:
            raise ValueError("nothing to wait for")


def _count(number: object, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= most:
        raise ValueError("no number within bounds")
    return number


def _text(text: object, form: re.Pattern[str]) -> str:
    if not isinstance(text, str) or not form.fullmatch(text):
        raise ValueError("no such text")
    return text
