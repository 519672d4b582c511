"""What a switch answers to a command: one line, or the several lines of a 520."""

from __future__ import annotations

import re
from typing import Final

from app.core.model.value import value

DONE: Final = 200
GONE: Final = 511
USAGE: Final = 520
USAGE_BEGINS: Final = "520-"
USAGE_ENDS: Final = "520 "
HANGUP: Final = "HANGUP"

_REPLY: Final = re.compile(r"200 result=([^ ()]*)(?: \((.*)\))?(?: endpos=(\d{1,12}))?")


class NotAReply(Exception):
    """The line is no reply: the two sides are out of step, or somebody forged it."""


@value
class AgiReply:
    """One reply. ``result`` is text, since digits keep their zeros; "" where there was none.

    ``words`` stood in parentheses (replies are not escaped: from the first to the last one), ``end`` is in samples.
    """

    code: int
    result: str = ""
    words: str = ""
    end: int | None = None

    @property
    def number(self) -> int:
        """The result as a number, -1 where it is none."""
        return int(self.result) if re.fullmatch(r"-?\d{1,9}", self.result) else -1


def read_reply(line: str) -> AgiReply:
    """Return the reply that a line is; of a 520, its first line. Raises ``NotAReply``."""
    found = _REPLY.fullmatch(line)
    if found is not None:
        result, words, end = found.groups()
        return AgiReply(code=DONE, result=result, words=words or "", end=int(end) if end else None)
    if re.match(r"5\d\d[ -]", line):
        return AgiReply(code=int(line[:3]))
    raise NotAReply
