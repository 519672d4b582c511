"""A hundred thousand verifications of a few codes, over HTTP and by a second process on the same file at once.

Ordinals must be unique, gapless, and in real-time order: who asked after another's answer came has the higher one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing

import pytest

from tests.acceptance.record.conftest import Site, stop
from tests.conftest import Budget
from tests.contract.store.history import Event, disorder

CODES = 8


async def _read_all(processes: Iterable[subprocess.Popen[str]], by_code: dict[int, list[Event]]) -> int:
    """Wait for every process, reading all at once so that none waits for its pipe."""
    outputs = await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in processes))
    assert not any(process.returncode for process in processes)
    lines = [line for output, _ in outputs for line in output.splitlines()]
    for line in lines:
        place, ordinal, started, ended = line.split()[:4]
        by_code.setdefault(int(place), []).append(Event(int(ordinal), int(started), int(ended)))
    return len(lines)


@pytest.mark.alone
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_from_several_processes_are_one_history(site: Site, budget: Budget) -> None:
    over_http, by_hand = (40_000, 10_000) if budget == "short" else (400_000, 100_000)
    by_code: dict[int, list[Event]] = {}
    codes = site.codes[:CODES]
    with site.serving() as (server, port):
        crowds = [site.module("crowd", port, 64, over_http, *codes) for _ in range(2)]
        others = [
            site.module("second_process", site.folder, fold, 64, by_hand, *codes)
            for fold in ("RARELY", "OFTEN")
        ]
        told = asyncio.run(_read_all([*crowds, *others], by_code))
        stop(server)
    asked = 2 * (over_http + by_hand)
    assert asked >= 100_000
    assert told >= asked * 0.99
    recorded = _recorded(site)
    assert sum(map(len, recorded)) == asked
    for code, ordinals in enumerate(recorded):
        assert ordinals == list(range(1, len(ordinals) + 1))
        heard = [event.ordinal for event in by_code[code]]
        assert len(set(heard)) == len(heard)
        assert set(heard) <= set(ordinals)
        assert disorder(by_code[code]) == []


def _recorded(site: Site) -> list[list[int]]:
    """Return the ordinals of each label in the order of the record."""
    by_label: dict[int, list[int]] = {}
    with closing(sqlite3.connect(site.database)) as db:
        for serial, ordinal in db.execute("SELECT serial, ordinal FROM verification ORDER BY id"):
            by_label.setdefault(serial, []).append(ordinal)
    return [by_label[serial] for serial in sorted(by_label)]


def test_the_order_check_sees_a_late_ordinal() -> None:
    """The control: an answer that came before a lower-numbered question was asked."""
    fine = [Event(1, 0, 10), Event(2, 5, 12), Event(3, 11, 20)]
    assert disorder(fine) == []
    assert disorder([*fine, Event(4, 21, 25), Event(5, 1, 9)]) == [Event(5, 1, 9)]
