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
    """Keeps calls by their key. ``down`` makes it fail; ``held`` makes it wait until that event is set.

    :meth:`told` waits for what is told behind a caller's back.
    """

    def __init__(self) -> None:
        self.down = False
        self.held: asyncio.Event | None = None
        self.kept: dict[bytes, KeptCall] = {}
        self._tellings = 0
        self._news = asyncio.Condition()

    async def open(self, *, key: bytes, account: str, at: datetime) -> None:
        await self._answer()
        self.kept.setdefault(key, KeptCall(account=account, started_at=at))
        await self._note()

    async def close(
        self, *, key: bytes, account: str, how: CallEnd, at: datetime, seconds: int | None = None
    ) -> None:
        await self._answer()
        call = self.kept.get(key)
        if call is None:
            began = KeptCall(account=account, started_at=at - timedelta(seconds=seconds or 0))
            self.kept[key] = replace(began, ended_at=at, how=how, seconds=seconds)
        elif call.ended_at is None or (call.how is CallEnd.TRANSFERRED and at > call.ended_at):
            lasted = max(0, int((at - call.started_at).total_seconds())) if seconds is None else seconds
            self.kept[key] = replace(call, ended_at=at, how=how, seconds=lasted)
        await self._note()

    async def told(self, times: int) -> None:
        """Wait until beginnings and ends were told so often, at most 20 s."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: self._tellings >= times)

    async def _note(self) -> None:
        async with self._news:
            self._tellings += 1
            self._news.notify_all()

    async def _answer(self) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.down:
            raise StoreUnavailable
