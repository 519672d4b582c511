"""An honest in-memory record: the promises of ``VerificationStore`` and ``CatalogueStore`` without a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from app.core.errors import CatalogueChanged, StoreUnavailable
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import First, Verdict, VerificationId
from app.core.model.verification import Draft, History, Record, Verification
from app.core.rules import decide, gets_ordinal


@dataclass(slots=True)
class _Counts:
    total: int = 0
    first: First | None = None
    first_token: bytes | None = None
    by_caller: dict[bytes, tuple[int, datetime]] = field(default_factory=dict)


@dataclass(slots=True)
class _Fact:
    verification: Verification
    verdict: Verdict
    token: bytes | None


class MemoryStore:
    """Keeps everything while the process lives. ``down`` makes it fail; ``hold`` makes commits wait until released."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.imported: dict[bytes, int] = {}
        self.down = False
        self.facts: list[_Fact] = []
        self._counts: dict[int, _Counts] = {}
        self._answers: dict[bytes, Verdict] = {}
        self._open = asyncio.Event()
        self._open.set()

    def hold(self) -> None:
        """Make every commit from now on wait."""
        self._open.clear()

    def release(self) -> None:
        """Let waiting commits go on."""
        self._open.set()

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        await self._open.wait()
        if self.down:
            raise StoreUnavailable
        if catalogue.version != self.catalogue.version:
            raise CatalogueChanged
        return [self._record_one(draft) for draft in drafts]

    async def find_answer(self, message_key: bytes, alias_key: bytes | None = None) -> Verdict | None:
        if self.down:
            raise StoreUnavailable
        return self._answer([message_key, alias_key])

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None, catalogue: Catalogue
    ) -> Record | None:
        if self.down:
            raise StoreUnavailable
        if not 0 < verification_id <= len(self.facts):
            return None
        return _read(self.facts[verification_id - 1], reader_token)

    async def find_own(
        self, reader_token: bytes, channel: str, limit: int, catalogue: Catalogue
    ) -> Sequence[Record]:
        if self.down:
            raise StoreUnavailable
        own = (
            fact
            for fact in reversed(self.facts)
            if fact.token == reader_token and fact.verification.channel == channel == "wechat"
        )
        return [
            replace(_read(fact, reader_token), first=None, own_first_at=None) for fact in islice(own, limit)
        ]

    async def start_over(self) -> None:
        if self.down:
            raise StoreUnavailable

    async def check(self) -> None:
        if self.down:
            raise StoreUnavailable

    async def load(self) -> Catalogue:
        return self.catalogue

    async def version(self) -> int:
        return self.catalogue.version

    async def find_imported(self, code_digest: bytes) -> int | None:
        return self.imported.get(code_digest)

    def _record_one(self, draft: Draft) -> Verdict:
        keys = [draft.message_key, draft.alias_key]
        verdict = self._answer(keys) or self._record_fact(draft)
        self._answers.update({key: verdict for key in keys if key is not None})
        return verdict

    def _answer(self, keys: Sequence[bytes | None]) -> Verdict | None:
        return next((self._answers[key] for key in keys if key is not None and key in self._answers), None)

    def _record_fact(self, draft: Draft) -> Verdict:
        now = draft.received_at
        label = draft.label
        history = self._count(draft, now) if label is not None and gets_ordinal(label) else None
        number = VerificationId(len(self.facts) + 1)
        decision = decide(label=label, history=history, recorded_at=now, verification_id=number)
        verification = Verification(
            id=number,
            recorded_at=now,
            channel=draft.channel,
            outcome=decision.outcome,
            reasons=decision.reasons,
            serial=label.serial if label else None,
            code_digest=draft.code_digest,
            ordinal=history.ordinal if history else None,
            place=draft.place,
        )
        self.facts.append(
            _Fact(verification=verification, verdict=decision.verdict, token=draft.caller.token)
        )
        return decision.verdict

    def _count(self, draft: Draft, now: datetime) -> History:
        assert draft.label is not None
        counts = self._counts.setdefault(draft.label.serial, _Counts())
        token = draft.caller.token
        counts.total += 1
        if counts.first is None:
            counts.first = First(at=now, channel=draft.channel, place=draft.place)
            counts.first_token = token
        own, own_first_at = 0, None
        if token is not None:
            before = counts.by_caller.get(token)
            own = before[0] + 1 if before else 1
            own_first_at = before[1] if before else None
            counts.by_caller[token] = (own, before[1] if before else now)
        first = replace(counts.first, own=token is not None and token == counts.first_token)
        return History(ordinal=counts.total, own_ordinal=own, first=first, own_first_at=own_first_at)


def _read(fact: _Fact, reader_token: bytes | None) -> Record:
    verdict = fact.verdict
    return Record(
        verification=fact.verification,
        announced=verdict.outcome,
        asked_by_reader=reader_token is not None and reader_token == fact.token,
        label=verdict.label,
        ordinal=verdict.ordinal,
        first=verdict.first,
        own_first_at=verdict.own_first_at,
        reasons=verdict.reasons,
    )
