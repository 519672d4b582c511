from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from app.adapters.leadership_term import while_leading
from tests.fakes.recording_log import RecordingLog


class ScriptedLeadership:
    """Leads while a test says so; renews quickly."""

    renew_s = 0.01

    def __init__(self) -> None:
        self.given = False
        self.leading = False
        self.resigned: list[str] = []

    async def hold(self, role: str) -> bool:
        self.leading = self.given
        return self.leading

    def leads(self, role: str) -> bool:
        return self.leading and self.given

    async def resign(self, role: str) -> None:
        self.resigned.append(role)


class Listening:
    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.changed = asyncio.Event()
        self.breaks: Exception | None = None

    async def listen(self) -> None:
        self.begun += 1
        self.changed.set()
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1
            self.changed.set()

    async def becomes(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def terms(
    leadership: ScriptedLeadership, listening: Listening, log: RecordingLog
) -> AsyncIterator[None]:
    task = asyncio.create_task(while_leading(leadership, "listener", listening.listen, log))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_it_runs_while_this_process_leads_and_never_twice() -> None:
    leadership, listening, log = ScriptedLeadership(), Listening(), RecordingLog()
    async with terms(leadership, listening, log):
        assert listening.begun == 0
        leadership.given = True
        await listening.becomes(lambda: listening.begun == 1)
        leadership.given = False
        await listening.becomes(lambda: listening.ended == 1)
        leadership.given = True
        await listening.becomes(lambda: listening.begun == 2)
    assert (listening.begun, listening.ended) == (2, 2)
    assert leadership.resigned == ["listener"]
    assert log.events == ["term_begun", "term_ended", "term_begun"]


async def test_what_breaks_off_is_said_and_begun_again() -> None:
    leadership, listening, log = ScriptedLeadership(), Listening(), RecordingLog()
    leadership.given = True
    listening.breaks = ValueError("a bad day")
    async with terms(leadership, listening, log):
        await listening.becomes(lambda: listening.begun == 2)
    assert log.events == ["term_begun", "term_broke_off", "term_begun"]
    assert log.lines[1][2]["error"] == "ValueError"


async def test_the_role_is_given_up_by_who_never_led() -> None:
    leadership = ScriptedLeadership()
    async with terms(leadership, Listening(), RecordingLog()):
        await asyncio.sleep(0)
    assert leadership.resigned == ["listener"]


@pytest.mark.parametrize("broken", [True, False])
async def test_a_term_that_will_not_end_or_broke_holds_nothing_back(broken: bool) -> None:
    leadership, listening, log = ScriptedLeadership(), Listening(), RecordingLog()
    leadership.given = True
    listening.breaks = OSError("gone") if broken else None
    async with terms(leadership, listening, log):
        await listening.becomes(lambda: listening.begun == 1)
    assert leadership.resigned == ["listener"]
