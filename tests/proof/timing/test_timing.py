"""How long an answer takes tells nothing of a hidden label: Welch's t over answers of the whole service.

In each load every class is compared with every other by the mean and the spread of what their answers took, over the
faster half of all and over the fastest nine tenths; the largest load alone has 100,000 answers.
More than 4.5 is measured once more with fresh samples, because a machine that does other things as well may hiccup;
a real leak is found both times, as the planted one is.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import uvloop

from app.core.model.catalogue import Catalogue
from app.core.model.code import Code
from app.core.ports.labels import Recogniser, Recognition
from app.settings import Settings
from tests.conftest import Budget
from tests.fakes.postgres_server import PostgresServer
from tests.proof.harness import Prove
from tests.proof.timing.measuring import Load, measure
from tests.proof.timing.questions import QUESTIONS, by_api
from tests.proof.timing.site import CLASSES, VOIDED, Service, Site, open_service, prepare
from tests.proof.timing.welch import LIMIT, Samples, largest_t

_PLANTED_NS = 10_000  # at each of the two looks at a code: 20 us an answer
_TURNS = 7
_MEMORY = Path("/dev/shm")

Codes = Mapping[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A record in memory, where a commit takes its least and so hides least."""
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    yield prepare(folder / "data")
    shutil.rmtree(folder)


@pytest.fixture
def site_on_postgresql(tmp_path: Path) -> Iterator[Site]:
    server = PostgresServer()
    try:
        server.start()
        yield prepare(tmp_path / "data", server.url())
    finally:
        server.remove()


class Laboratory:
    """Measures a load, and once more where a difference is seen."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._chance = random.Random(1)
        self._asked = 0
        self.samples = 0

    async def tells(self, load: Load) -> str:
        """Return what tells the classes apart both times, else nothing."""
        said = ""
        for _ in range(2):
            found = [
                largest_t(samples)
                for samples in await measure(
                    self._service, load, QUESTIONS[load.channel], self._chance, self._asked
                )
            ]
            self._asked += 10**7
            self.samples += load.count * len(CLASSES)
            t, what = max(found)
            if t < LIMIT:
                return ""
            said = f"{load.channel}, {load.together} at once: |t| = {t:.1f} of {what}"
        return said


# channel, how many at once, answers of each class in the short form and in the long one
_ON_SQLITE = (
    ("api", 16, 25_000, 50_000),
    ("api", 1, 1_500, 50_000),
    ("web", 8, 200, 50_000),
    ("sms", 8, 200, 10_000),
    ("ivr", 8, 200, 10_000),
    ("wechat", 8, 200, 10_000),
)
_SLIPS = (("api", 1, 250, 10_000),)
_LIMITED = (("api", 16, 250, 10_000), ("web", 8, 125, 10_000))
_ON_POSTGRESQL = (("api", 16, 500, 50_000), ("api", 1, 75, 10_000), ("web", 8, 75, 10_000))
_PAIRS = len(list(combinations(CLASSES, 2)))


def _loads(table: tuple[tuple[str, int, int, int], ...], codes: Codes, budget: Budget) -> list[Load]:
    return [
        Load(channel=channel, together=together, count=short if budget == "short" else long, codes=codes)
        for channel, together, short, long in table
    ]


def _run(settings: Settings, loads: list[Load]) -> tuple[int, list[str]]:
    """Return how many answers were timed, and what tells the classes apart."""

    async def run() -> tuple[int, list[str]]:
        async with open_service(settings) as service:
            laboratory = Laboratory(service)
            told = [said for load in loads if (said := await laboratory.tells(load))]
            return laboratory.samples, told

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


@pytest.mark.timeout(3_600)
def test_the_time_of_an_answer_tells_nothing_of_a_hidden_label(
    site: Site, budget: Budget, prove: Prove
) -> None:
    loads = _loads(_ON_SQLITE, site.codes, budget) + _loads(_SLIPS, site.slips, budget)
    samples, told = _run(site.settings, loads)
    assert not told, told
    largest = max(load.count * len(CLASSES) for load in loads)
    assert largest >= 100_000
    prove(
        "timing",
        breaches={"distinguishable_loads": len(told)},
        samples=samples,
        in_one_load=largest,
        pairs=_PAIRS * len(loads),
    )


@pytest.mark.timeout(900)
def test_nor_does_it_where_every_query_is_counted_and_limited(
    site: Site, budget: Budget, prove: Prove
) -> None:
    loads = _loads(_LIMITED, site.codes, budget)
    samples, told = _run(site.limited, loads)
    assert not told, told
    prove(
        "timing",
        breaches={"distinguishable_loads": len(told)},
        samples_under_limits=samples,
        pairs=_PAIRS * len(loads),
    )


@pytest.mark.timeout(3_600)
def test_nor_does_it_on_postgresql(site_on_postgresql: Site, budget: Budget, prove: Prove) -> None:
    loads = _loads(_ON_POSTGRESQL, site_on_postgresql.codes, budget)
    samples, told = _run(site_on_postgresql.limited, loads)
    assert not told, told
    prove(
        "timing",
        breaches={"distinguishable_loads": len(told)},
        samples_on_postgresql=samples,
        pairs=_PAIRS * len(loads),
    )


class PlantedRecogniser:
    """The recogniser, but for one more look at codes of one class that takes 10 us."""

    def __init__(self, recogniser: Recogniser, codes: frozenset[str]) -> None:
        self._recogniser = recogniser
        self._codes = codes

    def recognise(self, code: Code, catalogue: Catalogue) -> Recognition:
        found = self._recogniser.recognise(code, catalogue)
        if code.digits in self._codes:
            until = time.perf_counter_ns() + _PLANTED_NS
            while time.perf_counter_ns() < until:
                self._recogniser.recognise(code, catalogue)
        return found

    def __getattr__(self, name: str) -> object:
        return getattr(self._recogniser, name)


@pytest.mark.timeout(600)
def test_one_more_look_up_for_one_class_is_caught(site: Site, prove: Prove) -> None:
    async def run() -> str:
        """Measure until it is told, with at most as many answers as the real load has."""
        async with open_service(site.settings) as service:
            engine = service.engine
            planted = PlantedRecogniser(engine._recogniser, frozenset(site.codes[VOIDED]))
            engine._recogniser = planted  # type: ignore[assignment]
            load = Load(channel="api", together=1, count=1_000, codes=site.codes)
            pooled: list[Samples] = []
            for turn in range(_TURNS):
                taken = await measure(service, load, by_api, random.Random(turn), turn * 10**7)
                pooled = [
                    {name: np.concatenate((had[name], new[name])) for name in CLASSES}
                    for had, new in zip(
                        pooled or [dict.fromkeys(CLASSES, np.empty(0))] * 2, taken, strict=True
                    )
                ]
                t, what = max(largest_t(samples) for samples in pooled)
                if t > LIMIT:
                    return what
            return ""

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        told = runner.run(run())
    prove("planted control", timing_leaks_caught=int(VOIDED in told))
