"""What an answer of the platform says: nearly always status 200, with its own ``errcode`` in a JSON object.

The codes are those of the platform's list of global return codes (全局返回码).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

import orjson

from app.core.model.value import value
from channels.base import http_calls


@value
class Granted:
    """Done. ``document`` is the whole answer; it may hold credentials and openids, so it has no ``repr``."""

    document: Mapping[str, object] = field(repr=False)


@value
class Refused:
    """The platform said no, with this ``errcode``: the same request would be refused again."""

    code: int


@value
class NotTaken:
    """Certainly not done, and it may be later, ``after_s`` seconds from now. ``why`` is a constant word.

    ``rest``: the platform asks for the pause, so until then nobody may call that address.
    """

    why: str
    after_s: float
    rest: bool = False


@value
class Unclear:
    """Nobody knows whether it was done. ``why`` is a constant word."""

    why: str


Answer = Granted | Refused | NotTaken | Unclear

_NOT_CONNECTED_S: Final = 5.0
_OVERLOADED_S: Final = 30.0
_SETUP_S: Final = 60.0
# -1 busy; 45011 too often within a minute; 45009 the day's quota, which is asked about again every ten minutes
# because an operator can have it reset before midnight
_PAUSES: Final[Mapping[int, NotTaken]] = {
    -1: NotTaken(why="platform_busy", after_s=5.0, rest=True),
    45009: NotTaken(why="quota_used_up", after_s=600.0, rest=True),
    45011: NotTaken(why="too_frequent", after_s=60.0, rest=True),
}


def read_answer(
    answer: http_calls.HttpAnswer | http_calls.NotCalled | http_calls.Unanswered,
) -> Answer:
    """Return what ``answer`` says. Never raises."""
    match answer:
        case http_calls.NotCalled():
            return NotTaken(why="not_connected", after_s=_NOT_CONNECTED_S)
        case http_calls.Unanswered():
            return Unclear(why="no_answer")
        case http_calls.HttpAnswer(status=200):
            return _read_document(answer.body)
        case http_calls.HttpAnswer(status=429 | 503):
            return NotTaken(why="platform_busy", after_s=_OVERLOADED_S, rest=True)
        case http_calls.HttpAnswer() if 300 <= answer.status < 500:
            return NotTaken(
                why="setup_wrong", after_s=_SETUP_S
            )  # the API's own refusals come with status 200
        case http_calls.HttpAnswer():
            return Unclear(why="unexpected_status")


def _read_document(body: bytes) -> Answer:
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Unclear(why="unreadable_answer")
    if not isinstance(document, dict):
        return Unclear(why="unreadable_answer")
    code = document.get("errcode", 0)
    if not isinstance(code, int) or isinstance(code, bool):
        return Unclear(why="unreadable_answer")
    if code == 0:
        return Granted(document=document)
    return _PAUSES.get(code) or Refused(code=code)
