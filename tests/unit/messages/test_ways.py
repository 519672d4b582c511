"""One answer a message, also where a store loses what it said, another machine answers, or nobody knows who writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.adapters.cache.memory import MemoryCache
from app.core.errors import StoreUnavailable
from channels.window import DuplicateWindow, Way
from tests.fakes.clock import FakeClock
from tests.fakes.memory_outbox import MemoryOutbox
from tests.fakes.sample_service import SampleService, start_sample_service
from tests.fakes.scripted_sender import ScriptedSender
from tests.unit.messages.test_once import SlowOutbox, Texter

KEY, ALIAS = b"k" * 16, b"a" * 16


class ForgetfulOutbox(MemoryOutbox):
    """Keeps what is owed and says that it failed."""

    async def owe(self, *words: Any, **more: Any) -> bool:
        await super().owe(*words, **more)
        raise StoreUnavailable


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    service.store.release()
    await service.engine.close()


async def test_what_was_kept_and_said_to_have_failed_is_pushed_alone(service: SampleService) -> None:
    outbox = ForgetfulOutbox()
    service.store.down = True
    assert await Texter(service, outbox).code(service.code()) == "", "the courier will say it"
    assert len(outbox.replies) == 1


async def test_what_a_response_said_is_not_pushed_by_a_machine_that_cannot_look(
    service: SampleService,
) -> None:
    said = await Texter(service, service.outbox).code(service.code())
    assert said
    other = Texter(service, service.outbox)
    service.store.down = True
    with pytest.raises(StoreUnavailable):
        await other.code(service.code())
    assert service.outbox.replies == []
    service.store.down = False
    assert await other.code(service.code()) == said, "delivered again it is said again"


async def test_what_may_be_kept_by_another_machine_is_not_said(service: SampleService) -> None:
    outbox = SlowOutbox()
    service.store.down = True
    slow, other = Texter(service, outbox), Texter(service, outbox)
    with pytest.raises(StoreUnavailable):
        await slow.code(service.code())
    service.store.down = False
    with pytest.raises(StoreUnavailable):
        await other.code(service.code())
    outbox.opened.set()
    await slow.messages.close()
    assert await other.code(service.code()) == ""
    assert len(outbox.replies) == 1


async def test_closing_waits_for_what_no_request_waits_for(service: SampleService) -> None:
    outbox = SlowOutbox()
    service.store.down = True
    texter = Texter(service, outbox)
    with pytest.raises(StoreUnavailable):
        await texter.code(service.code())
    closing = asyncio.create_task(texter.messages.close())
    await asyncio.wait((closing,), timeout=0.01)
    assert not closing.done()
    outbox.opened.set()
    await closing
    assert len(outbox.replies) == 1


async def test_whose_opt_out_nobody_can_look_up_is_not_answered(service: SampleService) -> None:
    texter = Texter(service, service.outbox)
    await texter.command("opt_out", "stop")
    service.correspondence.down = True
    assert await texter.code(service.code()) == ""
    with pytest.raises(StoreUnavailable):
        await texter.command("help", "help")
    service.correspondence.down = False
    sender = ScriptedSender()
    courier = service.courier([sender])
    delivering = asyncio.create_task(courier.run())
    for _ in range(50):
        await asyncio.sleep(0)
    delivering.cancel()
    await asyncio.wait((delivering,))
    assert (sender.sent, service.store.facts) == ([], []), "neither said nor asked"
    assert [reply.why for reply in service.outbox.replies] == ["opted_out"]


async def test_one_way_excludes_the_other_until_it_is_left() -> None:
    clock = FakeClock()
    cache = MemoryCache(clock)
    one, other = DuplicateWindow(cache), DuplicateWindow(cache)
    assert await one.take_way([KEY, ALIAS], Way.RESPONSE)
    assert await one.take_way([KEY], Way.RESPONSE), "a retry may say it again"
    assert not await other.take_way([ALIAS], Way.PUSH)
    assert await one.take_way([KEY, ALIAS], Way.RESPONSE), "who was refused holds nothing"
    await one.leave_way([KEY, ALIAS], Way.RESPONSE)
    assert await other.take_way([ALIAS], Way.PUSH)


async def test_a_push_that_may_come_holds_half_a_minute_and_one_that_will_ten() -> None:
    clock = FakeClock()
    window = DuplicateWindow(MemoryCache(clock))
    assert await window.take_way([KEY], Way.PUSH)
    clock.advance(29)
    assert not await window.take_way([KEY], Way.RESPONSE)
    clock.advance(2)
    assert await window.take_way([KEY], Way.RESPONSE)
    await window.leave_way([KEY], Way.RESPONSE)
    assert await window.take_way([KEY], Way.PUSH)
    await window.hold_push([KEY])
    clock.advance(599)
    assert not await window.take_way([KEY], Way.RESPONSE)
