"""Faults planted on purpose, each a way to lose a promise that reads well in a review: schedules must catch them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.core.model.catalogue import Catalogue
from app.core.model.reply import OwedReply
from app.core.model.verdict import Verdict
from app.core.model.verification import Draft
from tests.fakes.memory_outbox import MemoryOutbox
from tests.fakes.memory_store import MemoryStore
from tests.proof.simulation.postgresql_books import PostgresqlBooks
from tests.proof.simulation.shared import (
    Books,
    MemoryBooks,
    RemoteCache,
    RemoteVerifications,
    Stores,
)
from tests.proof.simulation.sqlite_books import SqliteBooks
from tests.proof.simulation.world import Wire, World, run_now

_LOST_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A fault by its name. ``books`` and ``cache`` make what is broken."""

    name: str
    books: Callable[[World, Catalogue], Books] = lambda _world, catalogue: MemoryBooks(catalogue)
    cache: Callable[..., Any] = RemoteCache


SOUND = Mutant(name="sound")
ON_SQLITE = Mutant(name="sound, on SQLite", books=lambda _world, _catalogue: SqliteBooks())
ON_POSTGRESQL = Mutant(name="sound, on PostgreSQL", books=lambda _world, _catalogue: PostgresqlBooks())


class ForgetfulCache(RemoteCache):
    """Loses the duplicate window: what left no record is judged anew."""

    async def find(self, key: str) -> bytes | None:
        return None if key.startswith("answer:") else await super().find(key)


class KeylessRecord(MemoryStore):
    """Does not look whether a message was answered before."""

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        anew = [replace(draft, message_key=None, alias_key=None) for draft in drafts]
        verdicts = await super().record(anew, catalogue)
        self._answers.update(
            {draft.message_key: verdict for draft, verdict in zip(drafts, verdicts, strict=True)}
        )
        return verdicts


class RashOutbox(MemoryOutbox):
    """Gives a reply to be sent before it has noted that it is."""

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]:
        before = {one.id: one.state for one in self.replies}
        taken = await super().take(now, limit=limit, lease_s=lease_s)
        for reply in taken:
            self.replies[reply.id - 1].state = before[reply.id]
        return taken


class EagerRecord(MemoryStore):
    """Answers before the commit is on the disk: a crash takes the last seconds back."""

    def __init__(self, world: World, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self._world = world
        self._before: list[tuple[float, Any]] = []
        world.on_crash.append(self._lose)

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        kept = (list(self.facts), deepcopy(self._counts), dict(self._answers))
        self._before.append((self._world.now_s, kept))
        return await super().record(drafts, catalogue)

    def _lose(self) -> None:
        late = [kept for at_s, kept in self._before if at_s > self._world.now_s - _LOST_S]
        if late:
            self.facts, self._counts, self._answers = late[0]
        self._before = []


class HastyBooks(MemoryBooks):
    """A record that looks in one transaction and writes in another."""

    def stores(self, wire: Wire) -> Stores:
        return replace(super().stores(wire), verifications=CheckThenWrite(self.record, wire))


class CheckThenWrite(RemoteVerifications):
    """Decides by what it saw a moment ago."""

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        real = self._record

        def look() -> MemoryStore:
            seen = MemoryStore(real.catalogue)
            seen._counts, seen._answers = deepcopy(real._counts), dict(real._answers)
            seen.facts = list(real.facts)
            return seen

        seen = await self._wire.ask("look", look)

        def write() -> Sequence[Verdict]:
            many = len(seen.facts)
            verdicts = run_now(seen.record(drafts, catalogue))
            real.facts += seen.facts[many:]
            real._counts.update({serial: seen._counts[serial] for serial in seen._counts})
            real._answers.update(seen._answers)
            return verdicts

        return await self._wire.ask("write", write)


def _with(
    catalogue: Catalogue, record: MemoryStore | None = None, outbox: MemoryOutbox | None = None
) -> Books:
    books = MemoryBooks(catalogue)
    books.record, books.outbox = record or books.record, outbox or books.outbox
    return books


MUTANTS = (
    Mutant(name="window forgotten", cache=ForgetfulCache),
    Mutant(name="retry without key", books=lambda _, catalogue: _with(catalogue, KeylessRecord(catalogue))),
    Mutant(name="sent before intent", books=lambda _, catalogue: _with(catalogue, outbox=RashOutbox())),
    Mutant(
        name="answered before durable",
        books=lambda world, catalogue: _with(catalogue, EagerRecord(world, catalogue)),
    ),
    Mutant(name="check then write", books=lambda _, catalogue: HastyBooks(catalogue)),
)
