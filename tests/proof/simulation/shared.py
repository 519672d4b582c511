"""What the machines of a schedule share, each through its own wire: the record, the outbox, the cache and the limits.

The record is in memory here, by the doubles that pass the same contract suites as the SQL stores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from app.adapters.cache.memory import MemoryCache
from app.adapters.throttle import DEFAULT_LIMITS, Limit, MemoryThrottle, with_vouchers
from app.core.model.caller import Caller
from app.core.model.catalogue import Catalogue
from app.core.model.reply import Delivery, OwedReply, ReplyAddress, ReplyId, Settlement
from app.core.model.verdict import Verdict, VerificationId
from app.core.model.verification import Draft, Record, VerificationRequest
from app.core.ports.cache import Cache
from app.core.ports.correspondence import Change, Correspondence, Correspondent, NoticeKind
from app.core.ports.outbox import Outbox
from app.core.ports.throttle import Admission, Throttle, ThrottleSubject
from app.core.ports.verifications import CatalogueStore, VerificationStore
from tests.contract.store.history import Recorded
from tests.fakes.memory_correspondence import MemoryCorrespondence
from tests.fakes.memory_outbox import MemoryOutbox
from tests.fakes.memory_store import MemoryStore
from tests.proof.simulation.world import DELIVERY, SkewedClock, Wire, World, run_now

T = TypeVar("T")

FIRST_SERIAL = 20 * 10**15
_TIGHT = {"phone": Limit(queries=2, window_s=20, wrong=1, wrong_window_s=30)}
_TIGHT |= dict.fromkeys(("web", "wechat"), _TIGHT["phone"])
_TIGHT["address"] = DEFAULT_LIMITS["address"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What one machine reaches of the record."""

    verifications: VerificationStore
    catalogues: CatalogueStore
    outbox: Outbox
    correspondence: Correspondence
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of an owed reply."""

    state: str
    why: str


class Books(Protocol):
    """The record as it is in truth, for whoever looks at it afterwards. Labels are numbered from ``first_serial``."""

    first_serial: int

    def stores(self, wire: Wire) -> Stores: ...

    def answer(self, key: bytes) -> Verdict | None: ...

    def fate(self, key: bytes) -> Fate | None: ...

    def owed(self) -> int: ...

    def facts(self) -> int: ...

    def ordinals(self) -> list[Recorded]: ...

    def recall(self) -> None: ...

    def close(self) -> None: ...


class MemoryBooks:
    """``Books`` in memory."""

    first_serial = FIRST_SERIAL

    def __init__(self, catalogue: Catalogue) -> None:
        self.record = MemoryStore(catalogue)
        self.outbox = MemoryOutbox()
        self.correspondence = MemoryCorrespondence()

    def stores(self, wire: Wire) -> Stores:
        verifications = RemoteVerifications(self.record, wire)
        return Stores(
            verifications=verifications,
            catalogues=verifications,
            outbox=RemoteOutbox(self.outbox, wire),
            correspondence=RemoteCorrespondence(self.correspondence, wire),
        )

    def answer(self, key: bytes) -> Verdict | None:
        return self.record._answers.get(key)

    def fate(self, key: bytes) -> Fate | None:
        return next(
            (
                Fate(state=one.state, why=one.why)
                for one in self.outbox.replies
                if key in (one.key, one.alias)
            ),
            None,
        )

    def owed(self) -> int:
        return sum(one.state in ("waiting", "sending") for one in self.outbox.replies)

    def facts(self) -> int:
        return len(self.record.facts)

    def ordinals(self) -> list[Recorded]:
        return [
            Recorded(
                label=fact.verification.serial,
                ordinal=fact.verification.ordinal,
                is_first=fact.verdict.first is not None and fact.verification.ordinal == 1,
            )
            for fact in self.record.facts
            if fact.verification.ordinal is not None
        ]

    def recall(self) -> None:
        """Change the catalogue under everybody's feet, in a part that nobody asks about."""
        old = self.record.catalogue
        self.record.catalogue = Catalogue.of(
            version=old.version + 1, batches=old.batches, spans=old.spans, key_checks=old.key_checks
        )

    def close(self) -> None:
        """Nothing is open."""


class WiredCatalogues:
    """``CatalogueStore`` at the far end of a wire."""

    def __init__(self, catalogues: CatalogueStore, wire: Wire) -> None:
        self._catalogues = catalogues
        self._wire = wire

    async def load(self) -> Catalogue:
        return await self._wire.ask("load", lambda: run_now(self._catalogues.load()))

    async def version(self) -> int:
        return await self._wire.ask("version", lambda: run_now(self._catalogues.version()))

    async def find_imported(self, code_digest: bytes) -> int | None:
        return await self._wire.ask("imported", lambda: run_now(self._catalogues.find_imported(code_digest)))


class RemoteVerifications:
    """``VerificationStore`` and ``CatalogueStore`` at the other end of a wire."""

    def __init__(self, record: MemoryStore, wire: Wire) -> None:
        self._record = record
        self._wire = wire

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        return await self._wire.ask("record", lambda: run_now(self._record.record(drafts, catalogue)))

    async def find_answer(self, message_key: bytes, alias_key: bytes | None = None) -> Verdict | None:
        return await self._wire.ask("find", lambda: run_now(self._record.find_answer(message_key, alias_key)))

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None, catalogue: Catalogue
    ) -> Record | None:
        return await self._record.find_record(verification_id, reader_token, catalogue)

    async def find_own(
        self, reader_token: bytes, channel: str, limit: int, catalogue: Catalogue
    ) -> Sequence[Record]:
        return await self._record.find_own(reader_token, channel, limit, catalogue)

    async def start_over(self) -> None:
        await self._wire.ask("start over", lambda: None)

    async def check(self) -> None:
        await self._wire.ask("check", lambda: run_now(self._record.check()))

    async def load(self) -> Catalogue:
        return await self._wire.ask("load", lambda: self._record.catalogue)

    async def version(self) -> int:
        return await self._wire.ask("version", lambda: self._record.catalogue.version)

    async def find_imported(self, code_digest: bytes) -> int | None:
        return await self._wire.ask("imported", lambda: run_now(self._record.find_imported(code_digest)))


class RemoteOutbox:
    """``Outbox`` at the other end of a wire."""

    def __init__(self, outbox: Outbox, wire: Wire) -> None:
        self._outbox = outbox
        self._wire = wire

    async def owe(
        self,
        key: bytes,
        address: ReplyAddress,
        *,
        now: datetime,
        text: str = "",
        question: VerificationRequest | None = None,
        more_codes: bool = False,
        alias: bytes | None = None,
    ) -> bool:
        return await self._wire.ask(
            "owe",
            lambda: run_now(
                self._outbox.owe(
                    key,
                    address,
                    now=now,
                    text=text,
                    question=question,
                    more_codes=more_codes,
                    alias=alias,
                )
            ),
        )

    async def knows(self, key: bytes, alias: bytes | None = None) -> bool:
        return await self._wire.ask("knows", lambda: run_now(self._outbox.knows(key, alias)))

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]:
        outbox = self._outbox
        if isinstance(outbox, MemoryOutbox) and not any(
            one.due_at <= now and one.address for one in outbox.replies
        ):
            return ()  # what nearly every look finds, and none of it costs a schedule anything
        return await self._wire.ask("take", lambda: run_now(outbox.take(now, limit=limit, lease_s=lease_s)))

    async def settle(self, reply_id: ReplyId, settlement: Settlement, *, now: datetime) -> None:
        await self._wire.ask("settle", lambda: run_now(self._outbox.settle(reply_id, settlement, now=now)))

    async def note_delivery(
        self, sender: str, *, provider_id: str, reply_id: ReplyId | None, state: Delivery, now: datetime
    ) -> bool:
        return await self._wire.ask(
            "report",
            lambda: run_now(
                self._outbox.note_delivery(
                    sender, provider_id=provider_id, reply_id=reply_id, state=state, now=now
                )
            ),
        )

    async def known_ids(self, sender: str, provider_ids: Collection[str]) -> frozenset[str]:
        return await self._wire.ask("known", lambda: run_now(self._outbox.known_ids(sender, provider_ids)))


class RemoteCorrespondence:
    """``Correspondence`` at the other end of a wire."""

    def __init__(self, correspondence: Correspondence, wire: Wire) -> None:
        self._kept = correspondence
        self._wire = wire

    async def find(self, caller: Caller, *, now: datetime) -> Correspondent:
        return await self._wire.ask("who", lambda: run_now(self._kept.find(caller, now=now)))

    async def change(
        self,
        caller: Caller,
        change: Change,
        *,
        message_key: bytes,
        alias_key: bytes | None = None,
        now: datetime,
    ) -> Correspondent:
        return await self._wire.ask(
            "change",
            lambda: run_now(
                self._kept.change(caller, change, message_key=message_key, alias_key=alias_key, now=now)
            ),
        )

    async def claim_notice(
        self, caller: Caller, kind: NoticeKind, *, message_key: bytes, now: datetime, until: datetime
    ) -> bool:
        return await self._wire.ask(
            "claim",
            lambda: run_now(
                self._kept.claim_notice(caller, kind, message_key=message_key, now=now, until=until)
            ),
        )


class WatchedOutbox:
    """An outbox that tells which replies a courier took, and for which message."""

    def __init__(self, outbox: Outbox, taken: Callable[[OwedReply], None]) -> None:
        self._outbox = outbox
        self._taken = taken
        self.owe = outbox.owe
        self.knows = outbox.knows
        self.settle = outbox.settle
        self.note_delivery = outbox.note_delivery
        self.known_ids = outbox.known_ids

    async def take(self, now: datetime, *, limit: int = 16, lease_s: float = 60.0) -> Sequence[OwedReply]:
        replies = await self._outbox.take(now, limit=limit, lease_s=lease_s)
        for reply in replies:
            self._taken(reply)
        return replies


class WatchedCorrespondence:
    """What is kept of people, telling when an opt-out or its end was kept."""

    def __init__(self, kept: Correspondence, opted: Callable[[bytes, bool], None]) -> None:
        self._kept = kept
        self._opted = opted
        self.find = kept.find
        self.claim_notice = kept.claim_notice

    async def change(
        self,
        caller: Caller,
        change: Change,
        *,
        message_key: bytes,
        alias_key: bytes | None = None,
        now: datetime,
    ) -> Correspondent:
        holds = await self._kept.change(caller, change, message_key=message_key, alias_key=alias_key, now=now)
        self._opted(caller.token or b"", holds.opted_out)
        return holds


class RemoteCache:
    """A machine's way to the cache that all share, some milliseconds away."""

    def __init__(self, cache: Cache, world: World) -> None:
        self._cache = cache
        self._world = world

    async def find(self, key: str) -> bytes | None:
        return await _soon(self._world, lambda: run_now(self._cache.find(key)))

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        await _soon(self._world, lambda: run_now(self._cache.put(key, value, ttl_s=ttl_s)))

    async def drop(self, key: str) -> None:
        await _soon(self._world, lambda: run_now(self._cache.drop(key)))

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        return await _soon(self._world, lambda: run_now(self._cache.claim(key, ttl_s=ttl_s)))


class RemoteThrottle:
    """A machine's way to the limits that all share. Tells which delivery was counted."""

    def __init__(self, throttle: Throttle, world: World) -> None:
        self._throttle = throttle
        self._world = world

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        delivery = DELIVERY.get()
        if delivery is not None:
            delivery.count(self._world.now_s)
        return await _soon(self._world, lambda: run_now(self._throttle.admit(subjects)))

    async def note_wrong(self, subjects: Sequence[ThrottleSubject]) -> None:
        await _soon(self._world, lambda: run_now(self._throttle.note_wrong(subjects)))


async def _soon(world: World, apply: Callable[[], T]) -> T:
    future: asyncio.Future[T] = world.loop.create_future()

    def run() -> None:
        result = apply()
        if not future.done():
            future.set_result(result)

    world.loop.later(world.chance.random() * 0.01, run)
    return await future


def shared_throttle(world: World) -> MemoryThrottle:
    """Return the limits of a schedule; tight ones in some."""
    limits = _TIGHT if world.weather.tight_limits else {**DEFAULT_LIMITS, **_LOOSE}
    return MemoryThrottle(SkewedClock(world.loop), with_vouchers(limits), keys_per_limit=1000)


def shared_cache(world: World) -> MemoryCache:
    """Return the cache of a schedule."""
    return MemoryCache(SkewedClock(world.loop))


_LOOSE = {
    kind: Limit(queries=1000, window_s=60, wrong=1000, wrong_window_s=60)
    for kind in ("phone", "web", "wechat")
}
