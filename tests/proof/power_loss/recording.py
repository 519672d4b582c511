"""A stretch of the store's life on watched files: what SQLite asked of the device, and what was promised when.

A promise is made when a COMMIT returns; it is the whole contents of the database at that moment. The same seed gives
the same log, byte by byte: the keys, nonces and references that are random in the service are drawn from it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw
import pytest

from app.adapters.storage.rows import to_micros
from app.adapters.storage.sqlite import checkpoints, transaction, writer
from app.core.model.catalogue import Catalogue
from app.core.model.verdict import Verdict
from tests.proof.files.bridge import Connection, bridged
from tests.proof.files.vfs import Operation, WatchedFiles
from tests.proof.power_loss.failing_syncs import FailingSyncs
from tests.proof.power_loss.survivors import Image

FILE: Final = "record.db"
NEVER_S: Final = 86_400.0
Contents = dict[str, int]  # by table, a hash of its rows
Fact = tuple[Any, ...]  # id, ordinal, outcome, microseconds

_TABLES: Final = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """After ``position`` operations a COMMIT had returned, and this was in the database."""

    position: int
    contents: Contents
    facts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A verdict, and how many operations there were when its caller had it."""

    position: int
    verdict: Verdict


@dataclass(slots=True, kw_only=True)
class Recording:
    """What happened from the files in ``image`` on, which hold ``contents`` (None: there is no database yet).

    ``upgraded`` is when the schema was promised, ``kept`` what was acknowledged before, ``catalogue`` the last one.
    """

    seed: str
    image: Image
    names: dict[str, int]
    operations: list[Operation]
    contents: Contents | None = None
    kept: Sequence[Fact] = ()
    upgraded: int = 0
    catalogue: Catalogue | None = None
    promises: list[Promise] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    tried: list[tuple[int, Contents]] = field(
        default_factory=list
    )  # when a COMMIT began, and of what, if syncs fail
    failed: list[int] = field(default_factory=list)  # after how many operations a sync failed

    def promised(self, position: int) -> int:
        """Return how many promises were made in the first ``position`` operations."""
        return bisect_right(self.promises, position, key=lambda promise: promise.position)

    def may_be(self, position: int) -> list[Contents | None]:
        """Return what the database may hold after a loss of power: what was promised, or with the commit under way.

        A COMMIT that failed may still have reached the device, until the next one is written in its place.
        """
        made = self.promised(position)
        before = self.promises[made - 1].contents if made else self.contents
        since = self.promises[made - 1].position if made else 0
        tried = [contents for begun, contents in self.tried if since <= begun <= position]
        return [before, *tried, *(promise.contents for promise in self.promises[made : made + 1])]

    def acknowledged(self) -> list[tuple[int, Fact]]:
        """Return (position, fact) of every verdict: when its COMMIT returned, or, if sooner, when its caller had it.

        In the order of the facts' ids, each once.
        """
        found: dict[int, tuple[int, Fact]] = {fact[0]: (0, fact) for fact in self.kept}
        ends = [promise.facts for promise in self.promises]
        for told in self.told:
            number = told.verdict.verification_id
            if number is None:
                continue
            commit = bisect_right(ends, number - 1)
            returned = self.promises[commit].position if commit < len(ends) else NEVER_S
            position = int(min(told.position, returned, found.get(number, (NEVER_S,))[0]))
            found[number] = (position, fact_of(told.verdict))
        return [found[number] for number in sorted(found)]


def fact_of(verdict: Verdict) -> Fact:
    """Return what of a verdict must stand in its fact."""
    assert verdict.recorded_at is not None
    return verdict.verification_id, verdict.ordinal, verdict.outcome.value, to_micros(verdict.recorded_at)


def contents_of(connection: Any, facts: list[Any] | None = None) -> Contents:
    """Return the database's whole contents; ``facts`` are the rows of the record where they were read before."""
    names = [row[0] for row in connection.execute(_TABLES).fetchall()]
    contents = {}
    for name in names:
        rows = facts if name == "verification" else None
        if rows is None:
            rows = connection.execute(f"SELECT * FROM {name}").fetchall()
        contents[name] = hash(tuple(rows))
    return contents


@contextmanager
def recording(folder: Path, seed: str, syncs: FailingSyncs | None = None) -> Iterator[Recording]:
    """Record what the storage does with the files in ``folder`` inside the block, free of chance and of time.

    Some syncs fail where ``syncs`` says so.
    """
    image = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    chance = _Chance(seed)
    files = WatchedFiles(folder)
    now = Recording(seed=seed, image=image, names=dict(files.first_names), operations=files.operations)
    with ExitStack() as stack:
        stack.callback(files.end)
        stack.callback(apsw.randomness, 0)
        stack.callback(chance.unregister)
        apsw.randomness(0)  # SQLite draws a new seed, from `chance`
        trying = None
        if syncs is not None:
            trying = partial(_try, now)
            files.before = partial(syncs.meet, files, now.failed)
        stack.enter_context(bridged(files, partial(_promise, now), trying))
        planted = stack.enter_context(pytest.MonkeyPatch.context())
        planted.setattr(transaction, "secrets", chance)
        planted.setattr(writer, "IDLE_S", NEVER_S)
        planted.setattr(checkpoints, "_EVERY_S", NEVER_S)
        yield now


def _promise(now: Recording, connection: Connection) -> None:
    position = len(now.operations)
    if now.tried and now.tried[-1][0] == position:
        return  # it wrote nothing, and so nothing in the place of a COMMIT that failed
    contents = contents_of(connection.apsw)
    facts = 0
    if "verification" in contents:
        facts = connection.apsw.execute("SELECT count(*) FROM verification").fetchone()[0]
    now.promises.append(Promise(position=position, contents=contents, facts=facts))


def _try(now: Recording, connection: Connection) -> None:
    now.tried.append((len(now.operations), contents_of(connection.apsw)))


class _Chance(apsw.VFS):
    """Random numbers from a seed, for SQLite (log salts) and for what draws from ``secrets``."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)
        super().__init__("seeded", "", makedefault=True)

    def xRandomness(self, amount: int) -> bytes:  # noqa: N802 - SQLite's name
        return self._random.randbytes(amount)

    def randbits(self, bits: int) -> int:
        return self._random.getrandbits(bits)
