"""The record of a schedule on SQLite: the real statements, transactions and folds, in no thread but the schedule's own.

Every machine writes by a connection of its own, as the command line does beside a serving process. What only reads, one
after the other in any case, shares one: opening connections is what a short schedule costs most.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.rows import verdict_from_bytes
from app.adapters.storage.sqlite import FoldLimits, open_sqlite, upgrade_sqlite
from app.adapters.storage.sqlite.catalogues import SqliteCatalogues
from app.adapters.storage.sqlite.correspondence import SqliteCorrespondence
from app.adapters.storage.sqlite.database import as_store_errors, open_connection
from app.adapters.storage.sqlite.outbox import SqliteOutbox
from app.adapters.storage.sqlite.reader import Reader
from app.adapters.storage.sqlite.shared_commits import SharedCommits
from app.adapters.storage.sqlite.verifications import SqliteVerifications
from app.adapters.storage.sqlite.writer import Work, Writer
from app.core.model.label import LabelState
from app.core.model.verdict import Verdict
from app.issuing.ports import BatchOrder, StateChange
from tests.contract.store.history import Recorded
from tests.fakes.clock import START
from tests.fakes.sample_service import fixed_keyring
from tests.proof.simulation.shared import Fate, Stores, WiredCatalogues
from tests.proof.simulation.world import Wire

T = TypeVar("T")

_OFTEN = FoldLimits(labels=2, facts=3, slice=1)
_LOOKING = "Looking for replies"
_IN_MEMORY = Path("/dev/shm")  # where there is one, a commit waits for no disk


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="yanzhen-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None))


@cache
def prepared() -> tuple[Path, int]:
    """Return a file with one batch in circulation, and its first serial; made once a process."""
    path = _folder() / "prepared.db"
    upgrade_sqlite(path)
    return path, asyncio.run(_issue(path))


def remove_prepared() -> None:
    """Remove what :func:`prepared` made."""
    shutil.rmtree(_folder(), ignore_errors=True)
    prepared.cache_clear()
    _folder.cache_clear()


async def _issue(path: Path) -> int:
    storage = await open_sqlite(path)
    try:
        registry = storage.registry
        await registry.put_key_checks(fixed_keyring().checks())
        brand = await registry.add_brand(name="海岸牧场")
        product = await registry.add_product(brand_id=brand.id, name="海岸婴儿配方奶粉 800 克")
        order = BatchOrder(
            product_id=product.id,
            layout=20,
            quantity=100,
            at_most=10**9,
            tag_key_id=1,
            url_prefix="https://verify.example",
            issued_at=START,
        )
        batch = await registry.issue_batch(order)
        change = StateChange(
            batch_id=batch.id,
            first_serial=batch.first_serial,
            last_serial=batch.last_serial,
            state=LabelState.ACTIVE,
        )
        await registry.change_states([change], at=START)
        return batch.first_serial
    finally:
        await storage.close()


@cache
def _sealing() -> AesGcmSealing:
    return AesGcmSealing({1: b"s" * 32})


class InlineWriter(Writer):
    """The writer without its thread: one job at a time, in the order of arrival, at the far end of a wire."""

    def __init__(self, path: Path, wire: Wire) -> None:
        self._wire = wire
        super().__init__(path, _OFTEN)

    def submit(self, work: Work[T], *, keep: bool = True) -> asyncio.Future[T]:
        return self._wire.ask("write", lambda: self._transact(work, keep=keep), in_line=True)

    def end(self) -> None:
        """Close the file."""
        self._connection.close()

    def _start(self) -> None:
        """Leave the thread where it is."""


class InlineReader(Reader):
    """Single reads, each at the far end of a wire."""

    def __init__(self, connection: sqlite3.Connection, wire: Wire) -> None:
        self._db = connection
        self._wire = wire

    async def rows(self, what: str, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        def read() -> list[Any]:
            with as_store_errors(what):
                return self._db.execute(sql, values).fetchall()

        if what == _LOOKING and not read():
            return []  # what nearly every look finds, and none of it costs a schedule anything
        return await self._wire.ask("read", read)


class InlineConnection:
    """What the catalogue needs of aiosqlite, without its thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    async def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self._db.execute(sql, values)

    async def execute_fetchall(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._db.execute(sql, values).fetchall()


class SqliteBooks:
    """``Books`` in one SQLite file."""

    def __init__(self) -> None:
        source, self.first_serial = prepared()
        self._folder = Path(tempfile.mkdtemp(dir=_folder()))
        self._path = self._folder / "record.db"
        shutil.copyfile(source, self._path)
        self._path.chmod(0o600)
        self._writers: list[InlineWriter] = []
        self._truth = open_connection(self._path)

    def stores(self, wire: Wire) -> Stores:
        writer = InlineWriter(self._path, wire)
        self._writers.append(writer)
        reader, commits = InlineReader(self._truth, wire), SharedCommits(writer)
        catalogues: Any = InlineConnection(self._truth)
        return Stores(
            verifications=SqliteVerifications(writer, reader),
            catalogues=WiredCatalogues(SqliteCatalogues(catalogues), wire),
            outbox=SqliteOutbox(commits, reader, _sealing()),
            correspondence=SqliteCorrespondence(commits, reader),
        )

    def answer(self, key: bytes) -> Verdict | None:
        row = self._truth.execute("SELECT verdict FROM message WHERE key = ?", (key,)).fetchone()
        return verdict_from_bytes(row[0]) if row else None

    def fate(self, key: bytes) -> Fate | None:
        sql = "SELECT state, why FROM reply WHERE key = ?"
        row = self._truth.execute(sql, (key,)).fetchone()
        return Fate(state=row[0], why=row[1] or "") if row else None

    def owed(self) -> int:
        return self._one("SELECT count(*) FROM reply WHERE state IN ('waiting', 'sending')")

    def facts(self) -> int:
        return self._one("SELECT count(*) FROM verification")

    def ordinals(self) -> list[Recorded]:
        rows = self._truth.execute(
            "SELECT serial, ordinal, outcome FROM verification WHERE ordinal IS NOT NULL"
        )
        return [
            Recorded(label=serial, ordinal=ordinal, is_first=outcome == "first")
            for serial, ordinal, outcome in rows
        ]

    def recall(self) -> None:
        """Change the catalogue under everybody's feet."""
        with suppress(sqlite3.OperationalError):
            self._truth.execute("UPDATE catalogue_version SET version = version + 1")

    def close(self) -> None:
        for writer in self._writers:
            writer.end()
        self._truth.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _one(self, sql: str) -> int:
        found: int = self._truth.execute(sql).fetchone()[0]
        return found
