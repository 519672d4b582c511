"""An honest in-memory ``CallRecords``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.core.errors import StoreUnavailable
from app.core.model.call import CallEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCall:
    """One call; ``ended_at`` and ``how`` are None while it is open."""

    account: str
    started_at: datetime
    ended_at: datetime | None = None
    how: CallEnd | None = None
    seconds: int | None = None


class MemoryCallRecords:
    """Keeps calls by their key. ``down`` makes it fail; ``held`` makes it wait until that event is set."""

    def __init__(self) -> None:
        self.down = False
        self.held: asyncio.Event | None = None
        self.kept: dict[bytes, KeptCall] = {}

    async def open(self, *, key: bytes, account: str, at: datetime) -> None:
        await self._answer()
        self.kept.setdefault(key, KeptCall(account=account, started_at=at))

    async def close(
        self, *, key: bytes, account: str, how: CallEnd, at: datetime, seconds: int | None = None
    ) -> None:
        await self._answer()
        call = self.kept.get(key)
        if call is None:
            began = KeptCall(account=account, started_at=at - timedelta(seconds=seconds or 0))
            self.kept[key] = replace(began, ended_at=at, how=how, seconds=seconds)
            return
        if call.ended_at is not None and (call.how is not CallEnd.TRANSFERRED or at <= call.ended_at):
            return
        lasted = max(0, int((at - call.started_at).total_seconds())) if seconds is None else seconds
        self.kept[key] = replace(call, ended_at=at, how=how, seconds=lasted)

    async def _answer(self) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.down:
            raise StoreUnavailable
