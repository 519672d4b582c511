"""Calls to other people's servers, for channels that must call out."""

from __future__ import annotations

from typing import Protocol

from app.core.model.value import value


@value
class HttpCall:
    """One request. ``headers`` are as sent; a body goes with POST."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"HttpCall({self.method})"  # addresses of providers hold secrets and numbers


@value
class HttpAnswer:
    """What came back; ``body`` is cut, at 64 KiB unless the implementation was made for more."""

    status: int
    body: bytes = b""


@value
class NotCalled:
    """The request was certainly not received: no connection could be made."""

    why: str


@value
class Unanswered:
    """Nobody knows whether the request was received: it was sent, and no whole answer came in time."""

    why: str


class HttpCalls(Protocol):
    """Promise: never raises, follows no redirect, never repeats a call, and ends within ``deadline_s`` seconds."""

    async def call(
        self, call: HttpCall, *, deadline_s: float = 10.0
    ) -> HttpAnswer | NotCalled | Unanswered: ...
