"""What the store's suites act on: a record with two batches (one of a brand that discloses little), and drafts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.label import LabelState
from app.core.model.verdict import Outcome, Verdict
from app.core.model.verification import Draft
from app.core.ports.verifications import CatalogueStore, VerificationStore
from app.issuing.ports import LabelRegistry
from tests.fakes.clock import START

FULL, MINIMAL = 0, 1
PER_BATCH = 100
ISSUED_FROM, VOIDED_FROM = 80, 90  # offsets below are active
KNOWN, OTHER, THIRD = b"caller-number-01", b"caller-number-02", b"caller-number-03"


class Stage(Protocol):
    """A record with the two batches above. ``change`` and ``recall`` are what the command line does meanwhile."""

    store: VerificationStore
    catalogues: CatalogueStore

    async def change(self, batch: int, first: int, last: int, state: LabelState) -> None: ...

    async def recall(self, batch: int, *, lift: bool = False) -> None: ...


class DurableStage(Stage, Protocol):
    """A record that outlives its process. ``reopen`` is an orderly stop and start, ``crash`` one without a stop."""

    registry: LabelRegistry

    async def reopen(self) -> None: ...

    async def crash(self) -> None: ...

    async def forget(self, now: datetime) -> None:
        """Drop the message ids and caller tokens that may not be kept any longer at ``now``."""
        ...

    async def other(self) -> DurableStage:
        """Return the same record as a second process sees it; closed with the first."""
        ...


@dataclass(slots=True)
class Asking:
    """Makes drafts of one stage and records them under the catalogue of the moment."""

    stage: Stage
    at: datetime = START
    ordinals: dict[int, list[int]] = field(default_factory=dict)

    async def draft(
        self,
        offset: int | None,
        *,
        batch: int = FULL,
        token: bytes | None = None,
        message: bytes | None = None,
        alias: bytes | None = None,
        channel: str = "web",
        place: str = "",
        catalogue: Catalogue | None = None,
    ) -> Draft:
        catalogue = catalogue or await self.stage.catalogues.load()
        label, hidden = None, catalogue.stand_in
        if offset is not None:
            code_batch = catalogue.batches[batch]
            label = catalogue.label(code_batch.first_serial + offset, code_batch)
        self.at += timedelta(seconds=1)
        return Draft(
            label=label,
            code_digest=b"0123456789abcdef" if label is None else None,
            caller=Caller(kind=CallerKind.WEB, token=token),
            channel=channel,
            place=place,
            received_at=self.at,
            message_key=message,
            alias_key=alias,
            stand_in=catalogue.label(hidden.first_serial, hidden) if label is None and hidden else None,
        )

    async def ask(
        self,
        offset: int | None,
        *,
        batch: int = FULL,
        token: bytes | None = None,
        message: bytes | None = None,
        alias: bytes | None = None,
        channel: str = "web",
        place: str = "",
    ) -> Verdict:
        draft = await self.draft(
            offset, batch=batch, token=token, message=message, alias=alias, channel=channel, place=place
        )
        return (await self.record([draft]))[0]

    async def record(self, drafts: Sequence[Draft]) -> Sequence[Verdict]:
        return await self.stage.store.record(drafts, await self.stage.catalogues.load())


def outcomes(verdicts: Iterable[Verdict]) -> list[Outcome]:
    return [verdict.outcome for verdict in verdicts]


def gaps(ordinals: Iterable[int | None]) -> list[int]:
    """Return what is missing or doubled in 1 .. n; empty for a whole history."""
    counted = Counter(ordinal or 0 for ordinal in ordinals)
    return [number for number in range(1, sum(counted.values()) + 1) if counted[number] != 1]
