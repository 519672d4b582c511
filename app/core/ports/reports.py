"""Reports of something suspicious that callers make: kept beside the verification they asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.core.model.caller import Caller
from app.core.model.verdict import VerificationId


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report as it is read: never by whom. ``verification_id`` and ``serial`` are those of the verification it is
    about and of its label, None where there is none.

    ``words`` are in a stranger's hand, ``repr`` hides them. They are "" where nothing was written, where the key file
    cannot open them (``unreadable``), and where recording and words were dropped (``gone``).
    """

    id: int
    at: datetime
    channel: str
    account: str
    recording: str = ""
    words: str = field(default="", repr=False)
    unreadable: bool = False
    gone: bool = False
    verification_id: VerificationId | None = None
    serial: int | None = None


class Reports(Protocol):
    """Promises, tested by ``tests/contract/reports``:

    - ``keep`` is durable when it returns; one call and recording is one report, however often it is told; words that
      are told anew replace the earlier ones.
    - ``message_key`` is that of the verification which was reported about, linked where it was recorded;
      ``verification_id`` names that verification itself. ``recording`` names what was said, at the provider or in a
      file; ``words`` are what was written, kept sealed under the key file.
    - Both are dropped after 90 days, and as soon as ``reporter`` is erased; that there was a report stays.
    - ``newest`` returns at most ``limit`` reports that were made at ``since`` or later, the newest first, with their
      words opened. Words that the key file does not open are told as unreadable; the rest is there all the same.

    Down: ``StoreUnavailable``.
    """

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
    ) -> None: ...

    async def newest(self, *, since: datetime | None = None, limit: int = 100) -> Sequence[Report]: ...
