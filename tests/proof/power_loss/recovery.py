"""Turn the power on again: open what survived as the service does, and compare it with what was promised."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, Literal

from app.adapters.storage.record_checks import ORDINALS
from app.adapters.storage.sqlite import open_sqlite, upgrade_sqlite
from app.adapters.storage.sqlite.backups import _STATES
from app.adapters.storage.sqlite.database import open_connection, require_current_schema
from app.adapters.storage.sqlite.histories import Histories
from app.adapters.storage.sqlite.transaction import record_drafts
from app.core.errors import YanzhenError
from app.core.model.caller import Caller, CallerKind
from app.core.model.catalogue import Catalogue
from app.core.model.verification import Draft
from app.core.rules import gets_ordinal
from tests.fakes.clock import START
from tests.proof.power_loss.recording import (
    FILE,
    Contents,
    Fact,
    Recording,
    Told,
    contents_of,
    recording,
)
from tests.proof.power_loss.survivors import Device, Image

Kind = Literal["lost", "changed", "corrupt"]

_AGAIN: Final = Caller(kind=CallerKind.PHONE, token=b"caller-number-03")
_LATER: Final = START + timedelta(days=1)
_COUNTS: Final = (
    "SELECT (SELECT coalesce(max(id), 0) FROM verification),"
    " (SELECT count(*) FROM verification WHERE serial = :serial AND ordinal IS NOT NULL),"
    " (SELECT count(*) FROM verification WHERE serial = :serial AND ordinal IS NOT NULL AND caller ="
    " (SELECT reference FROM caller WHERE token = :token)), (SELECT version FROM catalogue_version)"
)
_FACTS: Final = "SELECT * FROM verification"  # in the order of their ids, as contents_of reads them
_SECOND_CRASHES: Final = 16
_LAST: Final = "SELECT id, ordinal, own_ordinal FROM verification ORDER BY id DESC LIMIT 1"


class Breach(Exception):
    """A promise that was not kept."""

    def __init__(self, kind: Kind, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind: Kind = kind


@dataclass(slots=True)
class Tally:
    """What was counted; ``breaches`` by kind, ``told`` a line each that replays it."""

    crashes: int = 0
    second_crashes: int = 0
    acknowledged: int = 0
    restarts: int = 0
    breaches: dict[Kind, int] = field(default_factory=lambda: {"lost": 0, "changed": 0, "corrupt": 0})
    told: list[str] = field(default_factory=list)

    def count(self, breach: Breach, replay: str) -> None:
        self.breaches[breach.kind] += 1
        self.told.append(f"{replay}: {breach}")


def crash(
    now: Recording, points: list[int], folder: Path, tally: Tally, *, again: int = 0, serve: int = 0
) -> None:
    """Cut the power at each of the ``points`` of a recording and check what is found.

    Every ``serve``-th time the whole storage is opened, and every ``again``-th time the power goes once more while it
    recovers; 0 is never. Breaches go to the tally.
    """
    device, done, acknowledged = Device(now.image, now.names), 0, now.acknowledged()
    for turn, point in enumerate(sorted(points)):
        for operation in now.operations[done:point]:
            device.carry_out(operation)
        done = point
        kept = [fact for position, fact in acknowledged if position <= point]
        case = _Case(now=now, point=point, turn=turn, kept=kept, folder=folder, tally=tally)
        try:
            case.crash(
                device, again=bool(again) and turn % again == 0, serve=bool(serve) and turn % serve == 0
            )
        except Breach as breach:
            tally.count(breach, f"{now.seed!r} {point} {turn}")


def crash_once(now: Recording, point: int, turn: int, folder: Path, tally: Tally) -> None:
    """Repeat one crash of :func:`crash`, with all that may follow it."""
    device = Device(now.image, now.names)
    for operation in now.operations[:point]:
        device.carry_out(operation)
    kept = [fact for position, fact in now.acknowledged() if position <= point]
    case = _Case(now=now, point=point, turn=turn, kept=kept, folder=folder, tally=tally)
    try:
        case.crash(device, again=True, serve=True)
    except Breach as breach:
        tally.count(breach, f"{now.seed!r} {point} {turn}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One loss of power after ``point`` operations; ``kept`` was acknowledged by then."""

    now: Recording
    point: int
    turn: int
    kept: list[Fact]
    folder: Path
    tally: Tally

    def crash(self, device: Device, *, again: bool, serve: bool) -> None:
        luck = Random(f"{self.now.seed}/{self.point}/{self.turn}")
        image = device.survivors(luck)
        self.tally.crashes += 1
        self.tally.acknowledged += len(self.kept)
        contents = check(self.now, self.point, image, self.kept, self.folder)
        if self.point < self.now.upgraded:
            return
        if serve:
            with _laid_out(image, self.folder) as path, _as_corrupt():
                asyncio.run(_answer(path))
            self.tally.restarts += 1
        if again:
            self._crash_again(image, contents, luck)

    def _crash_again(self, image: Image, contents: Contents | None, luck: Random) -> None:
        """Recover on watched files and cut the power at points of that."""
        seed = f"{self.now.seed}/{self.point}/{self.turn}"
        with _laid_out(image, self.folder) as path, _as_corrupt(), recording(self.folder, seed) as second:
            second.contents, second.kept, second.catalogue = contents, self.kept, self.now.catalogue
            for verdict in asyncio.run(_answer(path)):
                second.told.append(Told(position=len(second.operations), verdict=verdict))
        before = self.tally.crashes
        points = [luck.randint(0, len(second.operations)) for _ in range(_SECOND_CRASHES)]
        crash(second, points, self.folder, self.tally)
        self.tally.second_crashes += self.tally.crashes - before


def check(now: Recording, point: int, image: Image, kept: list[Fact], folder: Path) -> Contents | None:
    """Open what survived and check it; return its contents. Raises ``Breach``."""
    with _laid_out(image, folder) as path, _as_corrupt():
        if point < now.upgraded:
            contents = _contents_before(path) if image.get(FILE) else None
            _require_promised(now, point, contents)
            upgrade_sqlite(path)
        with closing(open_connection(path)) as connection:
            require_current_schema(connection)
            _require_sound(connection)
            if point >= now.upgraded:
                facts = connection.execute(_FACTS).fetchall()
                _require_facts(facts, kept)
                contents = contents_of(connection, facts)
                _require_promised(now, point, contents)
            if connection.execute(ORDINALS).fetchall() or connection.execute(_STATES).fetchall():
                raise Breach("corrupt", "ordinals or folded states disagree with the facts")
            _go_on(connection, now.catalogue)
    return contents


def _contents_before(path: Path) -> Contents | None:
    """Return what is in a database whose schema was still under way, None for nothing."""
    with closing(open_connection(path)) as connection:
        _require_sound(connection)
        return contents_of(connection) or None


def _require_sound(connection: sqlite3.Connection) -> None:
    problems = connection.execute("PRAGMA integrity_check(3)").fetchall()
    problems += connection.execute("PRAGMA foreign_key_check").fetchall()
    if problems != [("ok",)]:
        raise Breach("corrupt", str(problems[:3]))


def _require_facts(rows: list[Any], kept: list[Fact]) -> None:
    """Every acknowledged fact is there and is what its caller was told; ids begin at 1 and have no gap."""
    found = [(row[0], row[3], row[5], row[1]) for row in rows]
    if [fact[0] for fact in found] != list(range(1, len(found) + 1)):
        raise Breach("corrupt", "ids are not 1, 2, 3 ...")
    for fact in kept:
        if fact[0] > len(found):
            raise Breach("lost", f"{len(kept)} verdicts were acknowledged and {len(found)} are there")
        if found[fact[0] - 1] != fact:
            raise Breach("changed", f"{fact} was acknowledged and {found[fact[0] - 1]} is there")


def _require_promised(now: Recording, point: int, contents: Contents | None) -> None:
    """Demand exactly what the last COMMIT promised, or that with the commit under way."""
    allowed = now.may_be(point)
    if contents in allowed:
        return
    earlier = [now.contents, *(promise.contents for promise in now.promises[: now.promised(point)])]
    if contents in earlier:
        raise Breach("lost", f"the state after commit {earlier.index(contents)} of {now.promised(point)}")
    wanted = allowed[0] or {}
    wrong = [name for name in wanted if (contents or {}).get(name) != wanted[name]]
    raise Breach("changed", f"no state that there was; differs in {', '.join(wrong)}")


def _go_on(connection: sqlite3.Connection, catalogue: Catalogue | None) -> None:
    """Record one more verification of the latest label: it gets the next id and the next ordinals."""
    row = connection.execute(
        "SELECT serial FROM verification WHERE serial IS NOT NULL ORDER BY id DESC LIMIT 1"
    )
    (serial,) = row.fetchone() or (None,)
    draft = _draft(catalogue, serial)
    asked = {"serial": serial, "token": _AGAIN.token}
    last, count, own, version = connection.execute(_COUNTS, asked).fetchone()
    connection.execute("BEGIN IMMEDIATE")
    (verdict,) = record_drafts(connection, Histories(connection), [draft], Catalogue(version=version))
    connection.execute("COMMIT")
    expected = (last + 1, count + 1, own + 1) if gets_ordinal(draft.label) else (last + 1, None, None)
    found = connection.execute(_LAST).fetchone()
    if found != expected or verdict.ordinal != expected[1]:
        raise Breach("changed", f"the next verification got {found} and not {expected}")


def _draft(catalogue: Catalogue | None, serial: int | None) -> Draft:
    label = None
    if catalogue is not None and serial is not None:
        batch = catalogue.batch_of(serial)
        assert batch is not None
        label = catalogue.label(serial, batch)
    return Draft(
        label=label,
        code_digest=b"0123456789abcdef" if label is None else None,
        caller=_AGAIN,
        channel="web",
        place="",
        received_at=_LATER,
    )


async def _answer(path: Path) -> list[Any]:
    """Open the whole storage, verify a few times, and close it."""
    storage = await open_sqlite(path)
    try:
        catalogue = await storage.catalogues.load()
        label = catalogue.batches[0].first_serial if catalogue.batches else None
        return [
            (await storage.verifications.record([_draft(catalogue, label)], catalogue))[0] for _ in range(3)
        ]
    finally:
        await storage.close()


@contextmanager
def _laid_out(image: Image, folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in image.items():
        (folder / name).write_bytes(data)
    yield folder / FILE


@contextmanager
def _as_corrupt() -> Iterator[None]:
    """What cannot be opened, read or written is corrupt."""
    try:
        yield
    except (sqlite3.Error, YanzhenError) as error:
        raise Breach("corrupt", str(error)) from error
