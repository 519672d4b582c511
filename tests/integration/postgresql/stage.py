"""The PostgreSQL record on a stage of the store's suites."""

from __future__ import annotations

import asyncio
from datetime import datetime

from app.adapters.storage.postgresql import PostgresqlStorage, open_postgresql
from app.adapters.storage.postgresql.catalogues import PostgresqlCatalogues
from app.adapters.storage.postgresql.registry import PostgresqlRegistry
from app.adapters.storage.postgresql.verifications import PostgresqlVerifications
from app.core.model.label import LabelState
from app.issuing.ports import StateChange
from tests.fakes.clock import START


class PostgresqlStage:
    """``DurableStage`` on an emptied database."""

    def __init__(self, url: str, storage: PostgresqlStorage) -> None:
        self.url = url
        self.storage = storage
        self._others: list[PostgresqlStorage] = []

    @staticmethod
    async def open(url: str) -> PostgresqlStage:
        return PostgresqlStage(url, await open_postgresql(url))

    @property
    def store(self) -> PostgresqlVerifications:
        return self.storage.verifications

    @property
    def catalogues(self) -> PostgresqlCatalogues:
        return self.storage.catalogues

    @property
    def registry(self) -> PostgresqlRegistry:
        return self.storage.registry

    async def change(self, batch: int, first: int, last: int, state: LabelState) -> None:
        target = (await self.registry.batches())[batch]
        change = StateChange(
            batch_id=target.id,
            first_serial=target.first_serial + first,
            last_serial=target.first_serial + last,
            state=state,
        )
        await self.registry.change_states([change], at=START)

    async def recall(self, batch: int, *, lift: bool = False) -> None:
        target = (await self.registry.batches())[batch]
        await self.registry.set_recalled(target.id, recalled=not lift, reason="玻璃碎片", at=START)

    async def reopen(self) -> None:
        await self.storage.close()
        self.storage = await open_postgresql(self.url)

    async def crash(self) -> None:
        """Go on as a new process does after a killed one: its connections end without a word."""
        self._others.append(self.storage)
        for storage in self._others:
            storage._recorder.drop()
            storage._connections.drop()
        self._others.clear()
        self.storage = await open_postgresql(self.url)

    async def forget(self, now: datetime) -> None:
        await self.store.forget(now)

    async def other(self) -> PostgresqlStage:
        storage = await open_postgresql(self.url)
        self._others.append(storage)
        return PostgresqlStage(self.url, storage)

    async def close(self) -> None:
        await asyncio.gather(self.storage.close(), *(other.close() for other in self._others))
        self._others = []
