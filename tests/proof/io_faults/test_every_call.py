"""Each call on the store's files fails once, or several in a row: refused or recorded, and well again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import apsw
import pytest

from app.adapters.storage.sqlite import FoldLimits
from tests.conftest import Budget
from tests.proof.files.bridge import bridged
from tests.proof.files.vfs import Before, Call, WatchedFiles, disk_full, io_error, read_only
from tests.proof.harness import Prove
from tests.proof.io_faults.deeds import DEEDS, Deed
from tests.proof.io_faults.service import Broken, Service, copy, on_file, prepare, require_one_history

FOLD: Final = FoldLimits(labels=3, facts=4, slice=1)
MORE: Final = 400  # calls that a deed makes at most


def _device(call: Call) -> apsw.Error:
    return io_error(call.kind)


def _space(call: Call) -> apsw.Error:
    return disk_full() if call.kind == "write" else io_error(call.kind)


def _forbidden(call: Call) -> apsw.Error | None:
    """A device that became read-only, as Linux makes one after an error of its file system: reading goes on."""
    return read_only() if call.kind in ("write", "truncate", "sync", "delete") else None


def failing(
    first: int, length: int, error: Callable[[Call], apsw.Error | None], reached: list[Call]
) -> Before:
    """Fail ``length`` calls from the ``first`` on (counted from 1), but for those that ``error`` lets pass.

    All of them are added to ``reached``.
    """
    counted = 0

    def before(call: Call) -> None:
        nonlocal counted
        counted += 1
        if first <= counted < first + length:
            reached.append(call)
            if (failure := error(call)) is not None:
                raise failure

    return before


# how many calls fail, in which way, and the step of the short form
STYLES: Final = {
    "device": (1, _device, 1),
    "full": (1, _space, 4),
    "device-for-three-calls": (3, _device, 4),
    "read-only-for-eight-calls": (8, _forbidden, 8),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    asyncio.run(prepare(folder))
    return folder


async def play(path: Path, deed: Deed, before: Before | None) -> None:
    """Do the deed with some calls failing; leave a closed file. Raises :class:`Broken`."""
    files = WatchedFiles(path.parent)
    try:
        with bridged(files):
            service = on_file(path, FOLD)
            await service.open()
            try:
                files.before = before
                await deed(service)
            finally:
                await service.close()
                files.before = None
        require_one_history(service, path)
    finally:
        files.end()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", DEEDS)
async def test_every_call_fails_once(
    name: str, style: str, prepared: Path, tmp_path: Path, budget: Budget, prove: Prove
) -> None:
    length, error, step = STYLES[style]
    points, kinds = 0, set[str]()
    for number in range(1, MORE, 1 if budget == "long" else step):
        reached: list[Call] = []
        folder = tmp_path / str(number)
        try:
            await play(copy(prepared, folder), DEEDS[name], failing(number, length, error, reached))
        except Broken as broken:
            raise Broken(f"{name}, {style}, call {number} ({reached}): {broken}") from broken
        if not reached:
            break
        points += any(error(call) for call in reached)
        kinds.update(call.kind for call in reached)
    else:
        pytest.fail(f"{name} never ended within {MORE} calls")
    assert kinds & {"write", "sync", "read", "size"}
    prove("I/O faults", breaches={"wrong_answers": 0, "not_recovered": 0}, points=points)


async def test_a_double_count_would_be_found(prepared: Path, tmp_path: Path, prove: Prove) -> None:
    """The planted control: a service that asks under another message id after a refusal is counted twice."""
    caught = 0

    async def careless(service: Service) -> None:
        await DEEDS["first"](service)
        request, verdict = service.asked[0]
        renamed = replace(request, message_id="renamed")
        service.asked.append((request, await service.engine.verify(renamed)))
        assert verdict.ordinal == 1

    with pytest.raises(Broken, match="two answers"):
        await play(copy(prepared, tmp_path / "control"), careless, None)
    caught += 1
    prove("planted control", caught=caught)
