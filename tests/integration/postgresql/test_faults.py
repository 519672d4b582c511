"""Connections that die, servers that stop or stall, commits that are not safe: never a hang, never a false answer."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from app.adapters.storage.postgresql import (
    PostgresqlStorage,
    connections,
    open_postgresql,
    upgrade_postgresql,
)
from app.core.errors import SettingsInvalid, StoreUnavailable
from app.core.model.verdict import Verdict
from tests.contract.store.sqlite_stage import issue_batches
from tests.contract.store.stage import KNOWN, Asking, gaps
from tests.contract.store.suite import asking
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.prepared import Prepared, create
from tests.integration.postgresql.stage import PostgresqlStage

__all__ = ["asking"]


@pytest.fixture
async def stage(plain: Prepared) -> AsyncIterator[PostgresqlStage]:
    await plain.empty()
    stage = await PostgresqlStage.open(plain.url)
    yield stage
    await stage.close()


@pytest.fixture
async def operator(plain: Prepared) -> AsyncIterator[Any]:
    connection: Any = await asyncpg.connect(plain.socket_url)
    yield connection
    connection.terminate()


async def backend(storage: PostgresqlStorage) -> int:
    """Return the process of the server that records for us."""
    pid: int = await storage._recorder.run(lambda connection: connection.fetchval("SELECT pg_backend_pid()"))
    return pid


async def within(seconds: float, storage: PostgresqlStorage) -> float:
    """Wait until the store records again and return how long that took; fails after ``seconds``."""
    began = time.monotonic()
    while True:
        try:
            await storage.verifications.check()
        except StoreUnavailable:
            assert time.monotonic() - began < seconds
        else:
            return time.monotonic() - began


async def test_a_killed_connection_loses_nothing_that_was_acknowledged(
    stage: PostgresqlStage, asking: Asking, operator: Any
) -> None:
    catalogue = await stage.catalogues.load()
    told: list[Verdict] = []
    failed: list[bytes] = []

    async def ask(number: int) -> None:
        key = number.to_bytes(16, "big")
        draft = await asking.draft(number % 3, catalogue=catalogue, token=KNOWN, message=key)
        try:
            told.extend(await stage.store.record([draft], catalogue))
        except StoreUnavailable:
            failed.append(key)

    async def kill() -> None:
        await operator.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE '%record_verifications%' AND pid <> pg_backend_pid()"
        )

    for start in range(0, 240, 8):
        asked = asyncio.gather(*(ask(number) for number in range(start, start + 8)))
        if start % 24 == 0:
            await kill()
        await asked
    await within(30, stage.storage)
    assert failed, "nothing was killed: the test proves nothing"
    facts = await operator.fetch("SELECT id, serial, ordinal FROM verification")
    recorded = {row["id"]: row["ordinal"] for row in facts}
    assert all(recorded.get(verdict.verification_id) == verdict.ordinal for verdict in told)
    for serial in {row["serial"] for row in facts}:
        assert gaps(row["ordinal"] for row in facts if row["serial"] == serial) == []
    # a retry is answered, once and for all
    for key in failed:
        before = await stage.store.find_answer(key)
        draft = await asking.draft(int.from_bytes(key, "big") % 3, catalogue=catalogue, message=key)
        (answer,) = await stage.store.record([draft], catalogue)
        assert before in (None, answer)
    assert await operator.fetchval("SELECT count(*) FROM verification") == 240


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A small server, which recovers quickly."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_a_server_that_stops_and_comes_back(own_server: PostgresServer) -> None:
    url = own_server.url()
    await upgrade_postgresql(url)
    stage = await PostgresqlStage.open(url)
    await issue_batches(stage.registry)
    asking = Asking(stage)
    catalogue = await stage.catalogues.load()
    first = await asking.ask(1, token=KNOWN, message=b"m" * 16)
    own_server.stop(signal.SIGQUIT)
    draft = await asking.draft(1, catalogue=catalogue)
    began = time.monotonic()
    for _ in range(20):
        for broken in (
            stage.store.record([draft], catalogue),
            stage.store.find_answer(b"m" * 16),
            stage.store.check(),
            stage.catalogues.version(),
        ):
            with pytest.raises(StoreUnavailable):
                await broken
    assert time.monotonic() - began < 15  # of 80, each of which may take two seconds where nobody answers
    own_server.start()
    await within(30, stage.storage)
    assert await asking.ask(1, token=KNOWN, message=b"m" * 16) == first
    assert (await asking.ask(1)).ordinal == 2
    await stage.close()


async def test_a_server_that_stalls_is_unavailable_in_time(
    plain: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plain.empty()
    with monkeypatch.context() as patch:  # of the connections that are made now
        patch.setattr(connections, "ANSWER_WITHIN_S", 1.0)
        stage = await PostgresqlStage.open(plain.url)
    asking = Asking(stage)
    draft = await asking.draft(1, message=b"m" * 16)
    catalogue = await stage.catalogues.load()
    stalled = await backend(stage.storage)
    os.kill(stalled, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await stage.store.record([draft], catalogue)
        assert time.monotonic() - began < 5  # before the server's own limits, and before ours elsewhere
        (answer,) = await stage.store.record([draft], catalogue)  # on a new connection
        assert answer.ordinal == 1
    finally:
        os.kill(stalled, signal.SIGCONT)
    assert (await asking.ask(1)).ordinal == 2
    await stage.close()


async def test_a_change_that_holds_the_catalogue_keeps_nobody_waiting_for_ever(
    stage: PostgresqlStage, asking: Asking, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.storage._recorder.run(lambda connection: connection.execute("SET lock_timeout = 200"))
    async with operator.transaction():
        await operator.execute("SELECT pg_advisory_xact_lock(7956010260001)")
        with pytest.raises(StoreUnavailable):
            await asking.ask(1)
    assert (await asking.ask(1)).ordinal == 1


async def test_a_caller_who_cancels_does_not_cancel_the_commit(
    stage: PostgresqlStage, asking: Asking
) -> None:
    catalogue = await stage.catalogues.load()
    for turns in range(6):
        key = bytes([turns]) * 16
        draft = await asking.draft(1, catalogue=catalogue, message=key)
        recording = asyncio.create_task(stage.store.record([draft], catalogue))
        await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        recording.cancel()
        await asyncio.wait((recording,))
    assert (await asking.ask(1)).ordinal == 7


_WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep')"
_WILL_WAIT = "SELECT current_setting('synchronous_standby_names') <> ''"
_WRITE = "SELECT pg_logical_emit_message(true, 'test', '')"


async def until_commits_wait(stage: PostgresqlStage, operator: Any) -> None:
    """Return once the server has read its settings anew: each of its processes does that in its own time."""
    probe: Any = await asyncpg.connect(stage.url)
    process = await probe.fetchval("SELECT pg_backend_pid()")
    waits = False
    async with asyncio.timeout(60):
        while not await stage.storage._recorder.run(lambda connection: connection.fetchval(_WILL_WAIT)):
            await operator.execute("SELECT pg_sleep(0.005)")
        while not waits:
            writing = asyncio.create_task(probe.execute(_WRITE))
            while not waits and not writing.done():
                waits = await operator.fetchval(_WAITS, process)
            if waits:
                await operator.execute("SELECT pg_cancel_backend($1)", process)
            await writing
    await probe.close()


async def test_a_commit_that_missed_its_standby_is_not_acknowledged(
    stage: PostgresqlStage, asking: Asking, operator: Any
) -> None:
    catalogue = await stage.catalogues.load()
    draft = await asking.draft(1, catalogue=catalogue, message=b"m" * 16)
    recording_for_us = await backend(stage.storage)
    await operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'")
    await operator.execute("SELECT pg_reload_conf()")
    try:
        await until_commits_wait(stage, operator)
        recording = asyncio.create_task(stage.store.record([draft], catalogue))
        async with asyncio.timeout(60):
            while not await operator.fetchval(_WAITS, recording_for_us):
                await operator.execute("SELECT pg_sleep(0.005)")
        # the server then reports success, and tells in a warning alone that no standby has it
        await operator.execute("SELECT pg_cancel_backend($1)", recording_for_us)
        with pytest.raises(StoreUnavailable, match="standby"):
            await recording
    finally:
        await operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await operator.execute("SELECT pg_reload_conf()")
    (answer,) = await stage.store.record([draft], catalogue)
    assert answer.ordinal == 1


@pytest.mark.parametrize("level", ["off", "local", "remote_write"])
async def test_a_server_that_may_lose_commits_is_refused(server: PostgresServer, level: str) -> None:
    name = await create(server)
    operator: Any = await asyncpg.connect(server.socket_url())
    await operator.execute(f"ALTER DATABASE {name} SET synchronous_commit = {level}")
    await operator.close()
    with pytest.raises(SettingsInvalid, match=f"synchronous_commit = {level}"):
        await open_postgresql(server.url(name))


async def test_a_server_that_never_syncs_is_refused() -> None:
    server = PostgresServer({"fsync": "off"})
    try:
        server.start()
        with pytest.raises(SettingsInvalid, match=r"fsync = off .* Set it to on in postgresql.conf"):
            await open_postgresql(server.url())
        with pytest.raises(SettingsInvalid, match="fsync = off"):
            await upgrade_postgresql(server.url())
    finally:
        server.remove()


async def test_a_server_that_takes_no_writes_is_unavailable(server: PostgresServer) -> None:
    name = await create(server)
    operator: Any = await asyncpg.connect(server.socket_url())
    await operator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await operator.close()
    with pytest.raises(StoreUnavailable):
        await open_postgresql(server.url(name))


@pytest.mark.parametrize("url", ["postgresql://a:b@127.0.0.1:1/x", "postgresql:///x?host=/nowhere"])
async def test_where_no_server_is_the_store_is_unavailable(url: str) -> None:
    with pytest.raises(StoreUnavailable) as told:
        await open_postgresql(url)
    assert "a:b" not in str(told.value)


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://h:port/x", "postgresql://[/x", ""])
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid):
        await open_postgresql(url)


async def test_a_wrong_password_is_not_repeated_in_the_error(server: PostgresServer) -> None:
    wrong = server.url("postgres").replace("home", "h0me-secret")
    with pytest.raises(StoreUnavailable) as told:
        await open_postgresql(wrong)
    assert "h0me-secret" not in str(told.value)


async def test_the_host_that_takes_writes_is_found_among_several(plain: Prepared) -> None:
    await plain.empty()
    stage = await PostgresqlStage.open(plain.url.replace("127.0.0.1", "127.0.0.1:1,127.0.0.1"))
    assert (await Asking(stage).ask(1)).ordinal == 1
    await stage.close()
