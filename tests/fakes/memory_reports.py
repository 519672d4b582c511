"""An honest in-memory ``Reports``; what was written stands in clear here, so it teaches nothing about secrecy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from app.core.errors import StoreUnavailable
from app.core.model.caller import Caller
from app.core.model.verdict import VerificationId


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
        self._reporters.setdefault((message_key, recording), None if reporter is None else reporter.token)
        if words:
            self.kept[message_key, recording] = replace(kept, words=words)

    async def erase(self, token: bytes) -> int:
        """Drop what the caller with ``token`` told; return how many reports that were."""
        theirs = [name for name, reporter in self._reporters.items() if reporter == token]
        for name in theirs:
            del self.kept[name], self._reporters[name]
        return len(theirs)
