"""A way out to a provider whose answers a test decides."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime

from app.core.model.reply import Accepted
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Unknown

SendResult = Accepted | Rejected | Deferred | Unknown
Lookup = Accepted | NotSent | Unknown


class ScriptedSender:
    """Keeps what was sent; gives the scripted results in order, then accepts everything under a new id."""

    def __init__(
        self, name: str = "twilio", results: Iterable[SendResult] = (), lookups: Iterable[Lookup] = ()
    ) -> None:
        self.name = name
        self.results = deque(results)
        self.lookups = deque(lookups)
        self.sent: list[OutgoingText] = []
        self.asked: list[tuple[OutgoingText, datetime]] = []

    async def send(self, text: OutgoingText) -> SendResult:
        self.sent.append(text)
        return self.results.popleft() if self.results else Accepted(provider_id=f"P{len(self.sent)}")

    async def find_sent(
        self,
        text: OutgoingText,
        *,
        since: datetime,
        known_ids: Callable[[Collection[str]], Awaitable[frozenset[str]]],
    ) -> Lookup:
        self.asked.append((text, since))
        return self.lookups.popleft() if self.lookups else Unknown(why="cannot_be_asked")

    async def close(self) -> None:
        """Nothing is open."""
