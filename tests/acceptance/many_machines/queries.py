"""What a shopper asks and what a line says, and how a sentence of an answer is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import aiohttp

_COUNTED: Final = re.compile(r"(?:第|查询 )([0-9]+) ?次")
_FIRST: Final = "首次查询"
_LATER: Final = "暂时无法给出结论"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """``number`` tells messages and callers apart: each is asked by somebody else."""

    number: int
    code: str
    sent_at: datetime

    @property
    def mobile(self) -> str:
        return f"+86139{self.number:08d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person is told of the record."""

    ordinal: int
    first: bool


class Line(Protocol):
    """Brings a query to a server and returns what it said, None for an honest "not now".

    Raises ``AssertionError`` for any other answer and ``aiohttp.ClientError`` where none came.
    """

    async def __call__(self, session: aiohttp.ClientSession, origin: str, query: Query) -> Said | None: ...


class WrongAnswer(AssertionError):
    """An answer that nobody must be given."""


def read_sentence(channel: str, status: int, text: str) -> Said | None:
    """Return what a sentence says, None for "not now". Raises ``WrongAnswer`` for any other."""
    if status == 200 and _LATER in text:
        return None
    if status == 200 and (counted := _COUNTED.search(text)):
        return Said(ordinal=int(counted[1]), first=False)
    if status == 200 and _FIRST in text:
        return Said(ordinal=1, first=True)
    raise WrongAnswer(f"{channel}: {status} {text!r}")
