"""Stores that lie, each in one way, of what they did record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Outcome, Verdict, VerificationId
from app.core.model.verification import Draft, Record
from app.core.ports.verifications import VerificationStore


class Lying:
    """A ``VerificationStore`` before a real one. ``lying`` turns the lie on."""

    def __init__(self, real: VerificationStore) -> None:
        self.real = real
        self.lying = False

    async def record(self, drafts: Sequence[Draft], catalogue: Catalogue) -> Sequence[Verdict]:
        verdicts = await self.real.record(drafts, catalogue)
        return self.lie(verdicts) if self.lying else self.see(verdicts)

    def see(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        return verdicts

    def lie(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        return verdicts

    async def find_answer(self, message_key: bytes, alias_key: bytes | None = None) -> Verdict | None:
        return await self.real.find_answer(message_key, alias_key)

    async def find_record(
        self, verification_id: VerificationId, reader_token: bytes | None, catalogue: Catalogue
    ) -> Record | None:
        return await self.real.find_record(verification_id, reader_token, catalogue)

    async def find_own(
        self, reader_token: bytes, channel: str, limit: int, catalogue: Catalogue
    ) -> Sequence[Record]:
        return await self.real.find_own(reader_token, channel, limit, catalogue)

    async def start_over(self) -> None:
        await self.real.start_over()

    async def check(self) -> None:
        await self.real.check()


class TellsAFirstAgain(Lying):
    """Forgets that a label was ever asked about."""

    def lie(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        return [replace(verdict, outcome=Outcome.FIRST, ordinal=1) for verdict in verdicts]


class CountsFromAnOldCopy(Lying):
    """Reads how often a label was asked about where the last query is not known yet."""

    def lie(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        return [replace(verdict, ordinal=(verdict.ordinal or 0) - 1) for verdict in verdicts]


class GivesTheLastAnswerAgain(Lying):
    """Answers with what another query left on its connection."""

    def __init__(self, real: VerificationStore) -> None:
        super().__init__(real)
        self.last: Sequence[Verdict] = ()

    def see(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        self.last = verdicts
        return verdicts

    def lie(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        return [self.last[0] for _ in verdicts]


class LosesTheFact(Lying):
    """Cannot say which fact it recorded."""

    def lie(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        return [replace(verdict, verification_id=None) for verdict in verdicts]


class LosesAVerdict(Lying):
    """Answers one query fewer than it was asked."""

    def lie(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
        return verdicts[:-1]


LIES = {
    TellsAFirstAgain: "invariant_one_first",
    CountsFromAnOldCopy: "invariant_ordinals_grow",
    GivesTheLastAnswerAgain: "invariant_recorded",
    LosesTheFact: "invariant_recorded",
    LosesAVerdict: "invariant_recorded",
}
