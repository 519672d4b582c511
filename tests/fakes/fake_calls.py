"""Calls to other people's servers that a test has answered in advance."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from app.core.ports.http_calls import HttpAnswer, HttpCall, NotCalled, Unanswered

Answer = HttpAnswer | NotCalled | Unanswered


class FakeCalls:
    """Gives the scripted answers in order, then ``otherwise``; keeps every call in ``made``."""

    def __init__(self, answers: Iterable[Answer] = (), *, otherwise: Answer | None = None) -> None:
        self.answers = deque(answers)
        self.otherwise = otherwise or NotCalled(why="refused")
        self.made: list[HttpCall] = []
        self.deadlines_s: list[float] = []

    async def call(self, call: HttpCall, *, deadline_s: float = 10.0) -> Answer:
        self.made.append(call)
        self.deadlines_s.append(deadline_s)
        return self.answers.popleft() if self.answers else self.otherwise
