from __future__ import annotations

import asyncio
import json

from app.core.errors import StoreUnavailable
from app.web.health import Health
from channels.base import InboundRequest, OutboundResponse
from tests.fakes.clock import START, FakeClock
from tests.fakes.recording_journal import RecordingJournal

ASKED = InboundRequest(method="GET", route="/readyz", path="/readyz", received_at=START)


class Probe:
    """A check that counts, and that a test lets pass, fail or wait."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> None:
        self.asked += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error


def read(response: OutboundResponse) -> dict[str, object]:
    return dict(json.loads(response.body))


async def test_ready_where_every_check_passes() -> None:
    health = Health({"record": Probe()}, clock=FakeClock(), journal=RecordingJournal())
    response = await health.ready(ASKED)
    assert response.status == 200
    assert read(response) == {
        "ready": True,
        "draining": False,
        "checks": {"record": {"ok": True, "took_ms": 0.0}},
    }


async def test_not_ready_tells_a_code_and_logs_once() -> None:
    probe, clock, journal = Probe(), FakeClock(), RecordingJournal()
    probe.error = StoreUnavailable("the disk at /secret/place is full")
    health = Health({"record": probe, "other": Probe()}, clock=clock, journal=journal)
    for _ in range(3):
        response = await health.ready(ASKED)
        assert response.status == 503
        assert dict(response.headers)["Retry-After"] == "5"
        assert b"secret" not in response.body
        clock.advance(2)
    assert b'"code":"store_unavailable"' in response.body
    assert probe.asked == 3
    assert [event for event, _ in journal.failures] == ["not_ready"]
    probe.error = None
    assert (await health.ready(ASKED)).status == 200


async def test_a_check_is_shared_within_a_second_and_while_it_runs() -> None:
    probe, clock = Probe(), FakeClock()
    health = Health({"record": probe}, clock=clock, journal=RecordingJournal())
    await asyncio.gather(*(health.ready(ASKED) for _ in range(50)))
    await health.ready(ASKED)
    assert probe.asked == 1
    clock.advance(1)
    await health.ready(ASKED)
    assert probe.asked == 2


async def test_a_hanging_check_is_late_and_not_cancelled() -> None:
    probe, clock = Probe(), FakeClock()
    probe.gate.clear()
    health = Health({"record": probe}, clock=clock, journal=RecordingJournal(), deadline_s=0.01)
    for _ in range(3):
        response = await health.ready(ASKED)
        assert response.status == 503
        assert b'"code":"late"' in response.body
    assert probe.asked == 1
    probe.gate.set()
    running = health._states["record"].task
    assert running is not None
    await running
    assert (await health.ready(ASKED)).status == 200
    assert probe.asked == 1


async def test_a_failure_of_another_kind_is_not_ready_either() -> None:
    probe = Probe()
    probe.error = RuntimeError("oh")
    response = await Health({"x": probe}, clock=FakeClock(), journal=RecordingJournal()).ready(ASKED)
    assert (response.status, b'"code":"error"' in response.body) == (503, True)


async def test_draining_is_not_ready_but_lives() -> None:
    health = Health({}, clock=FakeClock(), journal=RecordingJournal())
    health.drain()
    assert (await health.ready(ASKED)).status == 503
    assert (await health.live(ASKED)).status == 200
