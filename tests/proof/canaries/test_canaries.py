"""Numbers, openids and codes through every way into a served instance: nothing that it leaves behind has one in clear.

It is driven into trouble on the way: the record locked, providers away, rows damaged, a crash with a dump, a kill. By
design codes stand in label files alone, and numbers and openids nowhere: sealed where a reply is owed, keyed elsewhere.
Only what people wrote in a report is shown, by the command that is there to show it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import signal
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, closing
from pathlib import Path

import psutil
import pytest

from tests.acceptance.cli.shell import PATIENCE_S, ROOT, Shell
from tests.acceptance.wechat.chat_site import APP_ID, PROGRAM_ID, SECRET, ChatSite, Folder, served
from tests.conftest import Budget
from tests.fakes.clips import lay_silent_clips
from tests.fakes.ports import free_port
from tests.fakes.postgres_server import PostgresServer
from tests.fakes.redis_server import RedisServer
from tests.fakes.wechat_platform import WechatPlatform
from tests.integration.sms.centres import NodeCentre
from tests.proof.canaries.canaries import Canaries
from tests.proof.canaries.errands import Errands, settings_of
from tests.proof.canaries.searching import Hit
from tests.proof.harness import Prove

_MEMORY = Path("/dev/shm")
_TRIES = 10
_QUESTION = "/api/v1/verifications"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory where there is one, because nothing here is about the disk."""
    folder = Path(tempfile.mkdtemp(dir=_MEMORY if _MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def _label_codes(folder: Folder, quantity: int) -> list[str]:
    """Issue and activate labels; their file is deleted, because it holds codes by design.

    There are clips already, so that no voice is at work beside what is looked at.
    """
    lay_silent_clips(folder.shell.folder, ("青禾", "Qinghe", "奶粉", "Formula"))
    product = folder.shell.json("product", "list")[0]["id"]
    batch = folder.shell.json("batch", "issue", "--product", product, "--quantity", quantity)["id"]
    folder.shell.run("batch", "activate", batch)
    path = folder.shell.folder.parent / "labels-of-canaries.csv"
    folder.shell.run("batch", "export", batch, "--out", path)
    codes = [line.split(",")[1] for line in path.read_text().splitlines()[1:]]
    path.unlink()
    (folder.shell.folder.parent / "labels.csv").unlink()
    return codes


async def _in_trouble(site: ChatSite, errands: Errands) -> None:
    """Ask while nothing can be recorded, and again where the stored answer can no longer be read."""
    written = site.folder.log.stat().st_size
    with site.folder.nobody_writing():
        late = asyncio.create_task(errands.at_once(4))
        await errands.browser(errands.canaries.codes[0])
        for number in errands.canaries.numbers[:_TRIES]:  # each waits for its deadline
            await errands.api_client(number)
            if b"commit_failed" in site.folder.log.read_bytes()[written:]:
                break
        else:
            pytest.fail("the record was locked, and no commit failed")
    await late
    key = {"content-type": "application/json", "Idempotency-Key": f"again {errands.canaries.numbers[1]}"}
    question = b'{"code": "%s"}' % errands.canaries.codes[1].encode()
    await errands.ask("POST", _QUESTION, key, question)
    with closing(sqlite3.connect(site.folder.database, timeout=10)) as db, db:
        db.execute("UPDATE message SET verdict = x'7b'")
    status, _ = await errands.ask("POST", _QUESTION, key, question)
    assert status == 500


async def _crash(site: ChatSite, errands: Errands, how: signal.Signals) -> None:
    """End the process while questions are under way."""
    under_way = asyncio.create_task(errands.at_once(40))
    await asyncio.wait((under_way,), timeout=0.3)
    assert psutil.Process(site.server.process.pid).rlimit(psutil.RLIMIT_CORE)[0] == 0
    os.kill(site.server.process.pid, how)
    assert await asyncio.to_thread(site.server.process.wait, PATIENCE_S) == -how
    under_way.cancel()
    await asyncio.wait((under_way,))


def _commands(shell: Shell, backup: Path, canaries: Canaries) -> bytes:
    """Return what the commands print that an operator would use next."""
    said = [shell.run("backup", "--out", backup)]
    said += [shell.run("restore", backup, "--verify-only")]
    said += [
        shell.run(*words.split())
        for words in ("batch list", "batch list --json", "keys list", "product list")
    ]
    told = shell.json("report", "list", "--limit", 10_000)
    words = "\n".join(report.pop("words") or "" for report in told)
    assert _hits(canaries, {"words": words.encode()})
    said += [shell.run("batch", "show", 2), shell.run("caller", "erase", f"+86{canaries.numbers[0]}")]
    said += [shell.run("caller", "erase", "--wechat", f"{APP_ID}/{canaries.openids[0]}")]
    return "\n".join([*(one.stdout + one.stderr for one in said), str(told)]).encode()


def _files(folder: Path) -> Mapping[str, bytes]:
    """Return every file but sounds, and what stands in every archive."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix == ".wav":
            continue
        name = str(path.relative_to(folder))
        found[name] = path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found |= {f"{name}:{member}": archive.read(member) for member in archive.namelist()}
    return found


async def _platform(stack: AsyncExitStack) -> WechatPlatform:
    platform = WechatPlatform(APP_ID, SECRET)
    platform.add_account(PROGRAM_ID, SECRET)
    await stack.enter_async_context(platform.running())
    return platform


async def _plant(folder: Folder, canaries: Canaries, temporary: Path) -> tuple[int, dict[str, bytes]]:
    """Serve, crash, serve again, get killed; return how many requests came, and what was left each time."""
    sent, left = 0, {}
    async with AsyncExitStack() as stack:
        platform = await _platform(stack)
        centre = await NodeCentre.start()
        stack.push_async_callback(centre.stop)
        more = {
            "YANZHEN_LOG_LEVEL": "debug",
            "YANZHEN_DRAIN_SECONDS": "1",
            "PYTHONFAULTHANDLER": "1",
            "TMPDIR": str(temporary),
        }
        for log_format, share, how in (
            ("json", slice(None), signal.SIGABRT),
            ("console", slice(None, None, 10), signal.SIGKILL),
        ):
            switch = free_port()
            settings = settings_of(centre=centre.port, switch=switch, closed=free_port())
            debug = {
                "YANZHEN_LOG_FORMAT": log_format,
                "PYTHONASYNCIODEBUG": "1" if log_format == "console" else "",
            }
            async with served(folder, platform, **settings, **more, **debug) as site:
                errands = Errands(site=site, canaries=canaries, centre=centre, switch=switch)
                await errands.until_ready()
                await errands.do_all(share)
                await _in_trouble(site, errands)
                left[f"{how.name}/metrics"] = (await errands.ask("GET", "/metrics"))[1]
                await _crash(site, errands, how)
                sent += errands.sent
            # before anybody opens the record, which would fold its log away
            left |= {f"{how.name}/{name}": octets for name, octets in _files(folder.shell.folder).items()}
    return sent, left


@pytest.mark.timeout(600)
def test_nothing_left_behind_holds_a_number_an_openid_or_a_code(
    place: Path, budget: Budget, prove: Prove
) -> None:
    times = 1 if budget == "short" else 2
    folder, temporary = Folder(place / "site"), place / "site" / "tmp"
    temporary.mkdir()
    canaries = Canaries.of(
        _label_codes(folder, 350 * times), numbers=400 * times, openids=300 * times, wrong=100 * times
    )
    core = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (core[1], core[1]))  # whoever wants core files has set it so
    try:
        sent, left = asyncio.run(_plant(folder, canaries, temporary))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, core)
    log = folder.log.read_bytes()
    for happened in (b"Fatal Python error: Aborted", b"commit_failed", b"Traceback", b"JSONDecodeError"):
        assert happened in log
    assert not list(ROOT.glob("core")) + list(ROOT.glob("core.*"))
    _see_that_they_arrived(folder)
    said = _commands(folder.shell, place / "site" / "backup.zip", canaries)
    left |= {**_files(place / "site"), "commands": said}
    for kept in ("SIGABRT/yanzhen.db-wal", "SIGKILL/yanzhen.db-wal", "SIGABRT/metrics", "server.log"):
        assert len(left[kept]) > 1000
    hits = _hits(canaries, left)
    assert not hits, list(hits)[:5]
    assert _hits(canaries, {"log": log + b"from " + canaries.numbers[7].encode()})
    prove("planted control", canaries_caught=1)
    prove(
        "canaries",
        breaches={"clear_hits": len(hits)},
        planted=canaries.count,
        requests=sent,
        places=len(left),
        bytes_searched=sum(map(len, left.values())),
    )


def _see_that_they_arrived(folder: Folder) -> None:
    """Assert that every channel recorded, that replies are owed, and that there is something in every other table."""
    channels = {channel for (channel,) in folder.read("SELECT DISTINCT channel FROM verification")}
    assert channels == {"web", "api", "sms", "ivr", "wechat"}
    calls = {account for (account,) in folder.read("SELECT DISTINCT account FROM call")}
    assert len(calls) == 2, calls
    senders = {
        sender for (sender,) in folder.read("SELECT DISTINCT sender FROM reply WHERE sealed IS NOT NULL")
    }
    assert senders >= {"kannel"}, senders
    sent = {sender for (sender,) in folder.read("SELECT DISTINCT sender FROM reply WHERE state = 'sent'")}
    assert sent >= {"smpp", "mini-program"}, sent
    for table in ("report", "recall_watch", "correspondent", "notice", "caller", "message", "spending"):
        assert folder.read(f"SELECT count(*) FROM {table}")[0][0], table


def _hits(canaries: Canaries, left: Mapping[str, bytes]) -> dict[str, Hit]:
    """Return what is found, by place and form; what several places hold alike is searched once."""
    searcher = canaries.searcher()
    each = {octets: name for name, octets in left.items()}
    return {f"{name} {hit.form}": hit for octets, name in each.items() for hit in searcher.search(octets)}


async def _plant_on_servers(folder: Folder, canaries: Canaries, redis: RedisServer) -> tuple[int, bytes]:
    async with AsyncExitStack() as stack:
        platform = await _platform(stack)
        centre = await NodeCentre.start()
        stack.push_async_callback(centre.stop)
        switch = free_port()
        settings = settings_of(centre=centre.port, switch=switch, closed=free_port())
        more = {"YANZHEN_REDIS_URL": redis.url, "YANZHEN_LOG_LEVEL": "debug"}
        async with served(folder, platform, **settings, **more) as site:
            errands = Errands(site=site, canaries=canaries, centre=centre, switch=switch)
            await errands.until_ready()
            await errands.do_all()
            redis.kill()
            await errands.at_once(4)
            return errands.sent, (await errands.ask("GET", "/metrics"))[1]


@pytest.mark.timeout(600)
def test_servers_of_others_are_told_none_either(
    place: Path, monkeypatch: pytest.MonkeyPatch, prove: Prove
) -> None:
    """PostgreSQL with its log of every statement, Redis with all it writes."""
    postgres = PostgresServer({"log_min_messages": "warning", "log_statement": "all"})
    redis = RedisServer(place / "site" / "redis")
    try:
        postgres.start()
        redis.start()
        with redis.admin() as admin:
            admin.config_set("appendonly", "yes")
            admin.config_set("appendfsync", "always")
        monkeypatch.setenv("YANZHEN_DATABASE_URL", postgres.url())
        folder = Folder(place / "site")
        canaries = Canaries.of(_label_codes(folder, 40), numbers=48, openids=20, wrong=10)
        sent, metrics = asyncio.run(_plant_on_servers(folder, canaries, redis))
        folder.shell.run("backup", "--out", place / "site" / "backup.zip")
        postgres.stop()
        left = {**_files(place / "site"), **_files(postgres.folder), "metrics": metrics}
    finally:
        redis.kill()
        postgres.remove()
    assert any("pg_wal" in name for name in left)
    assert any("appendonly" in name and octets for name, octets in left.items())
    assert b"record_verifications" in left["log"]
    hits = _hits(canaries, left)
    assert not hits, list(hits)[:5]
    prove(
        "canaries",
        breaches={"clear_hits": len(hits)},
        planted=canaries.count,
        requests=sent,
        places=len(left),
        bytes_searched=sum(map(len, left.values())),
    )
