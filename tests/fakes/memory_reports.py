"""An honest in-memory ``Reports``; what was written stands in clear here, so it teaches nothing about secrecy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller
from app.core.model.verdict import VerificationId
from app.core.ports.reports import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """One report. ``verification_id`` is that which was named; a link by message is the record's to make."""

    channel: str
    account: str
    at: datetime
    words: str = ""
    verification_id: VerificationId | None = None


class MemoryReports:
    """Keeps everything while the process lives, once by message and recording. ``down`` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.kept: dict[tuple[bytes, str], KeptReport] = {}
        self._gone: list[Report] = []
        self._numbers: dict[tuple[bytes, str], int] = {}
        self._reporters: dict[tuple[bytes, str], bytes | None] = {}

    async def keep(
        self,
        *,
        channel: str,
        account: str,
        message_key: bytes,
        recording: str = "",
        words: str = "",
        verification_id: VerificationId | None = None,
        reporter: Caller | None = None,
        at: datetime,
    ) -> None:
        if self.down:
            raise StoreUnavailable
        new = KeptReport(
            channel=channel, account=account, at=at, words=words, verification_id=verification_id
        )
        kept = self.kept.setdefault((message_key, recording), new)
        self._numbers.setdefault((message_key, recording), len(self._numbers) + len(self._gone) + 1)
        self._reporters.setdefault((message_key, recording), None if reporter is None else reporter.token)
        if words:
            self.kept[message_key, recording] = replace(kept, words=words)

    async def newest(self, *, since: datetime | None = None, limit: int = 100) -> Sequence[Report]:
        if self.down:
            raise StoreUnavailable
        reports = [report for report in self._all() if since is None or report.at >= since]
        return sorted(reports, key=lambda report: (report.at, report.id), reverse=True)[:limit]

    async def erase(self, token: bytes) -> int:
        """Drop what the caller with ``token`` told; return how many reports that were. That they were stays."""
        theirs = [name for name, reporter in self._reporters.items() if reporter == token]
        for name in theirs:
            emptied = replace(self._report(name), recording="", words="", gone=True)
            del self.kept[name], self._numbers[name], self._reporters[name]
            self._gone.append(emptied)
        return len(theirs)

    def _all(self) -> list[Report]:
        return [*self._gone, *map(self._report, self.kept)]

    def _report(self, name: tuple[bytes, str]) -> Report:
        kept = self.kept[name]
        return Report(
            id=self._numbers[name],
            at=kept.at,
            channel=kept.channel,
            account=kept.account,
            recording=name[1],
            words=kept.words,
            verification_id=kept.verification_id,
        )
