"""The SQLite record on a stage: a prepared file is copied, so that a test pays for no migration."""

from __future__ import annotations

import asyncio
import shutil
from datetime import datetime
from pathlib import Path

from app.adapters.storage.sqlite import FoldLimits, SqliteStorage, open_sqlite, upgrade_sqlite
from app.adapters.storage.sqlite.catalogues import SqliteCatalogues
from app.adapters.storage.sqlite.registry import SqliteRegistry
from app.adapters.storage.sqlite.verifications import SqliteVerifications
from app.core.model.label import Disclosure, LabelState, Product
from app.issuing.ports import BatchOrder, LabelRegistry, StateChange
from tests.contract.store.stage import ISSUED_FROM, PER_BATCH, VOIDED_FROM
from tests.fakes.clock import START

OFTEN = FoldLimits(labels=2, facts=3, slice=1)


async def prepare(path: Path) -> Path:
    """Make a database with the two batches of the stage."""
    upgrade_sqlite(path)
    storage = await open_sqlite(path)
    try:
        await issue_batches(storage.registry)
    finally:
        await storage.close()
    return path


async def issue_batches(registry: LabelRegistry) -> None:
    """Issue the two batches of the stage, one for each way a brand may disclose."""
    for disclosure in Disclosure:
        brand = await registry.add_brand(name="青禾", disclosure=disclosure)
        product = await registry.add_product(brand_id=brand.id, name="奶粉")
        batch = await registry.issue_batch(order_of(product))
        changes = [
            StateChange(
                batch_id=batch.id,
                first_serial=batch.first_serial + first,
                last_serial=batch.first_serial + last,
                state=state,
            )
            for first, last, state in (
                (0, ISSUED_FROM - 1, LabelState.ACTIVE),
                (VOIDED_FROM, PER_BATCH - 1, LabelState.VOIDED),
            )
        ]
        await registry.change_states(changes, at=START)


def order_of(product: Product, *, quantity: int = PER_BATCH, at_most: int = 10**9) -> BatchOrder:
    return BatchOrder(
        product_id=product.id,
        layout=20,
        quantity=quantity,
        at_most=at_most,
        tag_key_id=1,
        url_prefix="https://verify.example/q/",
        issued_at=START,
    )


class SqliteStage:
    """``DurableStage`` on a copy of a prepared file; ``fold`` small makes every test cross many folds."""

    def __init__(self, path: Path, storage: SqliteStorage, fold: FoldLimits | None) -> None:
        self.path = path
        self.fold = fold
        self.storage = storage
        self._others: list[SqliteStorage] = []

    @staticmethod
    async def open(prepared: Path, folder: Path, fold: FoldLimits | None = None) -> SqliteStage:
        path = folder / "record.db"
        shutil.copy(prepared, path)
        return SqliteStage(path, await open_sqlite(path, fold=fold), fold)

    @property
    def store(self) -> SqliteVerifications:
        return self.storage.verifications

    @property
    def catalogues(self) -> SqliteCatalogues:
        return self.storage.catalogues

    @property
    def registry(self) -> SqliteRegistry:
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
        self.storage = await open_sqlite(self.path, fold=self.fold)

    async def crash(self) -> None:
        """Go on with a copy of the files as they are now, as a killed process would find them: nothing is folded."""
        left_behind = self.path
        self.path = left_behind.with_name(f"{left_behind.name}.after")
        for suffix in ("", "-wal"):
            source = left_behind.with_name(left_behind.name + suffix)
            if source.exists():
                shutil.copy(source, self.path.with_name(self.path.name + suffix))
        await self.close()
        self.storage = await open_sqlite(self.path, fold=self.fold)

    async def forget(self, now: datetime) -> None:
        await self.store.forget(now)

    async def other(self) -> SqliteStage:
        storage = await open_sqlite(self.path, fold=self.fold)
        self._others.append(storage)
        return SqliteStage(self.path, storage, self.fold)

    async def close(self) -> None:
        await asyncio.gather(self.storage.close(), *(other.close() for other in self._others))
        self._others = []
