"""The wall clock set a day forward or back under the running service: order, limits and replies do not follow it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from app.adapters.storage.sqlite import FoldLimits
from app.adapters.throttle import Limit, MemoryThrottle
from app.core.model.caller import Caller, CallerKind
from app.core.model.reply import Accepted, ReplyAddress
from app.core.model.verdict import Outcome
from app.core.ports.throttle import ThrottleSubject
from tests.proof.harness import Prove
from tests.proof.io_faults.deeds import PlainSealing
from tests.proof.io_faults.service import FILE, Service, on_file, prepare, question, require_one_history

DAY_S: Final = 86_400.0
JUMPS: Final = (DAY_S, -DAY_S, -DAY_S, 2 * DAY_S, -0.001, 3600.0)
_ADDRESS: Final = ReplyAddress(sender="twilio", recipient="+8613800000000", ours="1069")


@pytest.fixture
async def service(tmp_path: Path) -> Service:
    await prepare(tmp_path)
    return on_file(tmp_path / FILE, FoldLimits(labels=2, facts=3, slice=1))


async def test_order_and_repeats_do_not_follow_the_wall_clock(
    service: Service, tmp_path: Path, prove: Prove
) -> None:
    await service.open()
    asked, expected = 0, 2
    for place, jump in enumerate(JUMPS):
        service.clock.jump(jump)
        now = service.clock.now()
        for caller in range(3):
            request = replace(
                question(4, caller=caller, message=f"{place} {caller}"),
                received_at=now,
            )
            verdict = await service.ask(request)
            assert verdict.outcome in (Outcome.REPEAT, Outcome.REPEAT_OWN, Outcome.OVER_LIMIT)
            assert verdict.ordinal == expected
            assert await service.ask(request) == verdict  # a retry is known whatever the clock says
            expected += 1
            asked += 1
        if place % 2:
            await service.close()
            await service.open()
    await service.close()
    require_one_history(service, tmp_path / FILE)
    assert not service.journal.failures
    prove("I/O faults", breaches={"wrong_answers": 0}, answers_across_clock_jumps=asked)


async def test_an_own_repeat_is_own_whatever_the_clock_says(service: Service) -> None:
    await service.open()
    me = Caller(kind=CallerKind.PHONE, token=b"caller-number-77")
    first = await service.ask(replace(question(15), caller=me, received_at=service.clock.now()))
    assert first.outcome is Outcome.FIRST
    for jump in (-DAY_S, 3 * DAY_S):
        service.clock.jump(jump)
        again = await service.ask(replace(question(15), caller=me, received_at=service.clock.now()))
        assert again.outcome is Outcome.REPEAT_OWN
    await service.close()


async def test_limits_neither_open_nor_lock_out(service: Service) -> None:
    throttle = MemoryThrottle(
        service.clock, {"web": Limit(queries=5, window_s=3600, wrong=2, wrong_window_s=3600)}
    )
    subjects = (ThrottleSubject("web", b"one visitor"),)
    for _ in range(5):
        assert (await throttle.admit(subjects)).allowed
    for jump in (DAY_S, -DAY_S, -DAY_S):
        service.clock.jump(jump)
        refused = await throttle.admit(subjects)
        assert not refused.allowed, "a clock set forward opens nothing"
        assert refused.retry_after_s <= 3600, "a clock set back locks nobody out"
    service.clock.advance(3600)
    assert (await throttle.admit(subjects)).allowed


async def test_replies_are_sent_once_and_soon(service: Service) -> None:
    await service.open()
    outbox, clock = service.storage.outbox(PlainSealing()), service.clock
    key = b"owed".ljust(16, b".")
    await outbox.owe(key, _ADDRESS, now=clock.now(), text="正品。")
    clock.jump(DAY_S)
    [reply] = await outbox.take(clock.now(), limit=5)
    clock.jump(-DAY_S)
    assert await outbox.take(clock.now(), limit=5) == (), "its lease holds"
    await outbox.settle(reply.id, Accepted(provider_id="SM1"), now=clock.now())
    clock.jump(DAY_S)
    assert await outbox.take(clock.now(), limit=5) == (), "what was taken is not sent again"
    await service.close()
