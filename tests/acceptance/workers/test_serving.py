"""Several workers are one service: one history, one set of numbers, no verdict lost when one is replaced or dies."""

import asyncio
import os
import re
import signal
from collections import Counter
from pathlib import Path

import pytest

from app.cli.exits import Exit
from tests.acceptance.cli.shell import Shell
from tests.acceptance.workers.conftest import Stock
from tests.acceptance.workers.crew import PATIENCE_S, Crew
from tests.acceptance.workers.crowd import Answer, Client, Crowd, prove_one_history

pytestmark = pytest.mark.xdist_group("workers")

CLIENTS = 64
FEW = 3  # more would keep a new worker from the two cores of a small machine
VISITS = 10
SLIPS = 'yanzhen_verifications_total{channel="api",outcome="mistyped"}'


async def scrape(port: int) -> dict[str, float]:
    """Return the counters and histograms, without those of the process, by name and labels."""
    client = Client(port)
    status, body = await client.get("/metrics")
    client.close()
    assert status == 200
    samples = re.findall(r"^(yanzhen_\w+(?:\{[^}]*\})?) ([0-9.e+]+)$", body.decode(), re.MULTILINE)
    return {name: float(number) for name, number in samples}


def answered(numbers: dict[str, float]) -> float:
    return sum(number for name, number in numbers.items() if name.startswith("yanzhen_verifications_total"))


def test_more_workers_on_a_file_are_refused_with_what_to_use(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    shell.run("init")
    said = shell.run("serve", "--workers", 2, expect=Exit.USAGE).stderr
    assert "SQLite" in said
    assert "--workers 1" in said
    assert "YANZHEN_DATABASE_URL=postgresql://" in said
    assert "SQLite" in shell.run("doctor", "--set", "workers=2", expect=Exit.REFUSED).stdout


def test_one_worker_on_a_file_serves(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "data")
    shell.run("init")
    with shell.serving("serve", "--workers", "1") as server:
        assert server.get("/readyz")[0] == 200
        server.process.send_signal(signal.SIGHUP)  # there is nobody to take over: it drains, and ends with 0
        server.process.wait(60)


def test_what_keeps_workers_from_starting_is_said_once(stock: Stock) -> None:
    crew = Crew(stock.shell.folder, stock.shell.url, YANZHEN_CHANNELS="web,fax")
    assert crew.process.wait(PATIENCE_S) == Exit.UNAVAILABLE
    crew.stop()
    said = [line["text"] for line in crew.lines if "text" in line]
    assert len(said) == 2
    assert "fax" in said[0]
    assert "No worker could start" in said[1]
    assert len(crew.seen("worker_started")) == 1
    assert "limits of its own" in stock.shell.run("doctor", "--set", "workers=2").stdout


async def test_each_label_is_first_once_over_all_workers(crew: Crew, stock: Stock) -> None:
    codes = stock.take(8)
    seen, answers = len(crew.seen("verification")), list[Answer]()
    for visit in range(VISITS):
        async with Crowd(crew.port, codes, CLIENTS, f"first-{visit}", renews_after=10) as crowd:
            await crowd.until_answered(1500)
        assert crowd.lost == 0
        answers.extend(crowd.answers)
        await asyncio.to_thread(crew.until, lambda: len(crew.seen("verification")) >= seen + len(answers))
        shares = Counter(line["worker"] for line in crew.seen("verification")[seen:])
        if set(shares) == {1, 2}:
            break  # on a busy machine one of them may have taken every connection of a visit
    prove_one_history(answers)
    outcomes = Counter(answer.document["outcome"] for answer in answers)
    assert outcomes["first"] == len(codes)
    assert set(shares) == {1, 2}


async def test_the_numbers_are_the_services_whichever_worker_is_asked(crew: Crew, stock: Stock) -> None:
    (code,) = stock.take(1)
    slip = code[:-1] + str(
        (int(code[-1]) + 1) % 10
    )  # only this test makes slips, so their count begins at nothing
    async with Crowd(crew.port, [slip], CLIENTS, "slips") as crowd:
        await crowd.until_answered(500)
    numbers = await scrape(crew.port)
    async with asyncio.timeout(PATIENCE_S):
        while numbers.get(SLIPS, 0) < len(crowd.answers):  # workers tell theirs within a second
            numbers = await scrape(crew.port)
    assert numbers[SLIPS] == len(crowd.answers)
    assert {(await scrape(crew.port))[SLIPS] for _ in range(20)} == {len(crowd.answers)}
    assert numbers["yanzhen_workers"] == 2


async def test_a_rolling_restart_under_load_loses_nothing(crew: Crew, stock: Stock) -> None:
    rolled, ready = len(crew.seen("rolling_restart_done")), len(crew.seen("worker_ready"))
    pids = {line["pid"] for line in crew.seen("worker_ready")}
    async with Crowd(crew.port, stock.take(40), FEW, f"roll-{rolled}") as crowd:
        await crowd.until_answered(50)
        crew.signal(signal.SIGHUP)
        await asyncio.to_thread(crew.until_seen, "rolling_restart_done", rolled + 1)
        await crowd.until_answered(50)
    assert crowd.lost == 0
    assert crowd.politely >= FEW, "every connection of an old worker was closed with notice"
    prove_one_history(crowd.answers)
    new = [line["pid"] for line in crew.seen("worker_ready")[ready:]]
    assert len(set(new) - pids) == 2
    assert not crew.seen("worker_killed")


async def test_a_killed_worker_loses_no_acknowledged_verdict_and_comes_back(crew: Crew, stock: Stock) -> None:
    ready, died = len(crew.seen("worker_ready")), len(crew.seen("worker_died"))
    totals = [answered(await scrape(crew.port))]
    async with Crowd(crew.port, stock.take(40), FEW, f"kill-{died}", patient=True) as crowd:
        await crowd.until_answered(100)
        totals.append(answered(await scrape(crew.port)))
        os.kill(crew.seen("worker_ready")[-1]["pid"], signal.SIGKILL)
        await asyncio.to_thread(crew.until_seen, "worker_died", died + 1)
        totals += [answered(await scrape(crew.port)) for _ in range(10)]
        await asyncio.to_thread(crew.until_seen, "worker_ready", ready + 1)
        await crowd.until_answered(100)
        totals.append(answered(await scrape(crew.port)))
    assert totals == sorted(totals), "no total falls with the worker that counted it"
    prove_one_history(crowd.answers)
    client = Client(crew.port)
    for answer in crowd.answers[:: len(crowd.answers) // 50]:
        assert (await client.ask(answer.code, answer.key)).body == answer.body
    client.close()
