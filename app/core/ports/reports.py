"""Reports of something suspicious that callers make: kept beside the verification they asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from app.core.model.caller import Caller
from app.core.model.verdict import VerificationId


class Reports(Protocol):
    """Promise: durable when ``keep`` returns; one call and recording is one report, however often it is told;
    words that are told anew replace the earlier ones.

    ``message_key`` is that of the verification which was reported about, linked where it was recorded;
    ``verification_id`` names that verification itself. ``recording`` names what was said, at the provider or in a
    file; ``words`` are what was written, kept sealed. Both are dropped after 90 days, and as soon as ``reporter`` is
    erased; that there was a report stays. Down: ``StoreUnavailable``.
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
