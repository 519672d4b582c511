"""An honest in-memory ``Reports``."""

from __future__ import annotations

from datetime import datetime

from app.core.errors import StoreUnavailable


class MemoryReports:
    """Keeps everything while the process lives, once by message and recording. ``down`` makes it fail."""

    def __init__(self) -> None:
        self.down = False
        self.kept: dict[tuple[bytes, str], tuple[str, str, datetime]] = {}

    async def keep(
        self, *, channel: str, account: str, message_key: bytes, recording: str, at: datetime
    ) -> None:
        if self.down:
            raise StoreUnavailable
        self.kept.setdefault((message_key, recording), (channel, account, at))
