"""P5, P5c, P5d, P6 and P8: making codes and label files, recognising one code, what issuing stores, starting up."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from app.adapters.storage.sqlite import open_sqlite
from app.core.model.catalogue import Catalogue
from app.core.model.code import PRESET_LENGTHS, Entry, read_codes
from app.core.ports.labels import Recognised
from app.issuing.codebook_bulk import BulkCodebook
from app.issuing.key_file import KeyFile
from app.issuing.label_files import LabelFileOrder, LabelFileWriter
from app.issuing.recogniser import CodebookRecogniser
from tests.bench.measures import (
    Figure,
    Goal,
    Result,
    WrongAnswerError,
    interleave,
    middle,
    of_rounds,
    ratio,
    spread,
)
from tests.bench.plan import Plan
from tests.bench.prefill import ROOT, DataFolder, new_folder, uniform_labels
from tests.bench.units import aes_ceiling

CODES: Final = Goal(row="P5", title="codes made / AES-256-ECB ceiling", floor=0.08, target=0.25)
LINES: Final = Goal(row="P5c", title="complete CSV lines a second", floor=2_000_000, target=None, unit="/s")
RECOGNISE: Final = Goal(
    row="P5d", title="recognising one code", floor=15, target=None, unit="us", at_most=True
)
STORED: Final = Goal(
    row="P6",
    title="bytes stored per issued label, 1e9 labels",
    floor=0,
    target=None,
    unit="B",
    at_most=True,
    timed=False,
)
HELP: Final = Goal(row="P8", title="yanzhen --help / bare interpreter", floor=4, target=2.5, at_most=True)
_LAYOUT: Final = 20
_CODES: Final = 20_000
_MAKE_S: Final = 0.5
_STARTS: Final = 5


def measure_codes(plan: Plan) -> list[Result]:
    """Return codes a second over AES-256 alone at ten blocks a code, one core and one process for both."""
    folder = plan.folder_of(100_000)
    bulk = BulkCodebook(folder.codebook(), layout=_LAYOUT, tag_key_id=1)
    measured: dict[str, Callable[[], float]] = {"ceiling": aes_ceiling, "made": partial(_codes_made, bulk)}
    runs = interleave(plan.size.rounds, measured)
    figure = ratio(_plain(runs["made"]), _plain(runs["ceiling"]))
    made = middle(runs["made"], float)
    note = f"{made / 1e6:.2f} M codes/s of {middle(runs['ceiling'], float) / 1e6:.1f} M/s"
    return [Result(goal=CODES, figure=figure, notes=(note,))]


def measure_lines(plan: Plan) -> list[Result]:
    """Return lines a second of label files, made durable, with their SHA-256."""
    folder = plan.folder_of(100_000)
    catalogue = asyncio.run(_catalogue(folder))
    writer = LabelFileWriter(folder.codebook())
    path = plan.scratch / "labels.csv"
    first = folder.first_serial
    rates, width = [], 0.0
    for _ in range(plan.size.rounds):
        order = LabelFileOrder(
            batch=catalogue.batches[0],
            path=path,
            first_serial=first,
            last_serial=first + plan.size.csv_lines - 1,
        )
        started = time.perf_counter()
        made = writer.write(order)
        rates.append(made.lines / (time.perf_counter() - started))
        if made.lines != plan.size.csv_lines or path.stat().st_size != made.size_bytes:
            raise WrongAnswerError(f"A label file of {plan.size.csv_lines} labels came out as {made}")
        width = made.size_bytes / made.lines
        path.unlink()
    note = f"{plan.size.csv_lines:,} lines of {width:.0f} bytes, hashed and synced"
    return [Result(goal=LINES, figure=spread(rates), notes=(note,))]


def measure_recognition(plan: Plan) -> list[Result]:
    """Return microseconds to recognise one code: check digits, permutation, batch range, tag; no I/O."""
    folder = plan.folder_of(100_000)
    catalogue = asyncio.run(_catalogue(folder))
    recogniser = CodebookRecogniser(KeyFile(folder.path / "keys.json").load)
    codebook = folder.codebook()
    labels = uniform_labels(folder.labels, _CODES)
    texts = [folder.code(codebook, label) for label in labels]
    codes = [read_codes(text, entry=Entry.TYPED, lengths=PRESET_LENGTHS).code for text in texts]
    recognise = recogniser.recognise
    each = []
    for _ in range(2 * plan.size.rounds):
        started = time.perf_counter()
        for code in codes:
            recognise(code, catalogue)
        each.append((time.perf_counter() - started) / _CODES * 1e6)
    for label, code in zip(labels[:1000], codes[:1000], strict=True):
        found = recognise(code, catalogue)
        if not isinstance(found, Recognised) or found.serial != folder.first_serial + label:
            raise WrongAnswerError(f"Label {label} was recognised as {found}")
    return [Result(goal=RECOGNISE, figure=spread(each))]


def measure_stored(plan: Plan) -> list[Result]:
    """Return how much larger the database is for 1e9 issued labels than for one, divided by 1e9."""
    sizes = []
    for labels in (1, 1_000_000_000):
        path = plan.scratch / f"issued-{labels}"
        new_folder(path, labels=labels)
        sizes.append(
            sum(file.stat().st_size for file in path.iterdir() if file.name.startswith("yanzhen.db"))
        )
        shutil.rmtree(path)
    value = (sizes[1] - sizes[0]) / 1e9
    note = f"database of {sizes[0]:,} bytes with one label, {sizes[1]:,} with a billion"
    return [Result(goal=STORED, figure=Figure(value=value, low=value, high=value), notes=(note,))]


def measure_help(plan: Plan) -> list[Result]:
    """Return the wall time of `yanzhen --help` over that of an interpreter that does nothing."""
    command = Path(sys.executable).with_name("yanzhen")
    words = {"bare": [sys.executable, "-c", "pass"], "help": [str(command), "--help"]}
    runs = interleave(plan.size.rounds, {name: partial(_wall_ms, started) for name, started in words.items()})
    figure = ratio(_plain(runs["help"]), _plain(runs["bare"]))
    note = f"{middle(runs['help'], float):.0f} ms of {middle(runs['bare'], float):.0f} ms"
    return [Result(goal=HELP, figure=figure, notes=(note,))]


async def _catalogue(folder: DataFolder) -> Catalogue:
    storage = await open_sqlite(folder.database)
    try:
        return await storage.catalogues.load()
    finally:
        await storage.close()


def _codes_made(bulk: BulkCodebook) -> float:
    """Return codes a second, without their text."""
    done = 0
    started = time.perf_counter()
    while (took := time.perf_counter() - started) < _MAKE_S:
        bulk.make(done % 10**10, bulk.chunk)
        done += bulk.chunk
    return done / took


def _wall_ms(words: list[str]) -> float:
    """Return the median of a few starts."""
    each = []
    for _ in range(_STARTS):
        started = time.perf_counter()
        # without a timeout, because waiting with one polls at 0.5, 1, 2 ... 32 ms and measures only powers of two
        subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        each.append((time.perf_counter() - started) * 1000)
    return median(each)


def _plain(runs: list[list[float]]) -> list[list[float]]:
    return of_rounds(runs, float)
