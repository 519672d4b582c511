"""A message that leaves no record (a slip, a refusal by the limits) is one query, too, on every channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from app.adapters.throttle import Limit, MemoryThrottle
from app.core.model.verdict import Outcome
from app.core.ports.throttle import Admission, ThrottleSubject
from channels.base import ChannelAdapter
from tests.contract.channel.bindings import BINDINGS, ToyBinding
from tests.contract.channel.suite import ChannelBinding
from tests.fakes.open_throttle import OpenThrottle
from tests.fakes.sample_service import SampleService, start_sample_service

_BINDINGS = (*(binding for bindings in BINDINGS.values() for binding in bindings), ToyBinding)
_KINDS = ("address", "web", "phone", "wechat")
_DELIVERIES = 8


class HeldThrottle(OpenThrottle):
    """Admits everybody once ``opened`` is set; ``reached`` tells that somebody asked."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def admit(self, subjects: Sequence[ThrottleSubject]) -> Admission:
        self.reached.set()
        await self.opened.wait()
        return await super().admit(subjects)


@pytest.fixture(params=_BINDINGS, ids=lambda kind: kind.__name__.removesuffix("Binding"))
def binding(request: pytest.FixtureRequest) -> ChannelBinding:
    made: ChannelBinding = request.param()
    return made


@pytest.fixture
def throttle() -> OpenThrottle:
    return OpenThrottle()


@pytest.fixture
async def service(throttle: OpenThrottle) -> AsyncIterator[SampleService]:
    service = await start_sample_service(throttle=throttle)
    yield service
    await service.engine.close()


@pytest.fixture
def adapter(binding: ChannelBinding, service: SampleService) -> ChannelAdapter:
    return binding.adapter(service.context)


def slip_of(code: str, *places: int) -> str:
    """Return ``code`` with the digits at ``places`` wrong: one can be located, two far apart cannot."""
    return "".join(
        str((int(digit) + 1) % 10) if place in places else digit for place, digit in enumerate(code)
    )


def new_queries(service: SampleService) -> list[Outcome]:
    return [verdict.outcome for _, verdict, duplicate in service.journal.answers if not duplicate]


def pushed(binding: ChannelBinding, service: SampleService, number: int) -> bool:
    """Tell whether as many replies are owed as ``number`` messages call for."""
    return len(service.outbox.replies) == (0 if binding.traits.in_band else number)


@pytest.mark.parametrize(("places", "guesses"), [((4,), 0), ((2, 11), 1)])
async def test_a_slip_delivered_again_is_one_query_and_the_same_bytes(
    adapter: ChannelAdapter,
    binding: ChannelBinding,
    service: SampleService,
    throttle: OpenThrottle,
    places: tuple[int, ...],
    guesses: int,
) -> None:
    request = binding.ask(slip_of(service.code(), *places))
    first = await service.pipeline.carry(adapter, request)
    service.clock.advance(3)
    again = await service.pipeline.carry(adapter, request)  # a pipeline of its own, as on another machine
    assert again == first
    assert new_queries(service) == [Outcome.MISTYPED]
    assert len(service.journal.answers) == 2
    assert (len(throttle.asked), len(throttle.wrong)) == (1, guesses)
    assert pushed(binding, service, 1)


async def test_a_slip_delivered_at_once_is_one_query_and_the_same_bytes(
    adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
) -> None:
    throttle = HeldThrottle()
    pipeline = service.pipeline_with(throttle=throttle)
    request = binding.ask(slip_of(service.code(), 2, 11))
    deliveries = [asyncio.create_task(pipeline.carry(adapter, request)) for _ in range(_DELIVERIES)]
    await throttle.reached.wait()  # by then every task has begun
    throttle.opened.set()
    answers = await asyncio.gather(*deliveries)
    assert all(answer == answers[0] for answer in answers)
    assert new_queries(service) == [Outcome.MISTYPED]
    assert (len(throttle.asked), len(throttle.wrong)) == (1, 1)
    assert pushed(binding, service, 1)


async def test_retries_of_a_slip_use_up_nobodys_allowance(
    adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
) -> None:
    twice = Limit(queries=100, window_s=3600, wrong=2, wrong_window_s=3600)
    pipeline = service.pipeline_with(throttle=MemoryThrottle(service.clock, dict.fromkeys(_KINDS, twice)))
    slip = binding.ask(slip_of(service.code(), 2, 11))
    answers = [await pipeline.carry(adapter, slip) for _ in range(_DELIVERIES)]
    assert all(answer == answers[0] for answer in answers)
    await pipeline.carry(adapter, binding.ask(service.code(), message="message-2"))
    assert new_queries(service) == [Outcome.MISTYPED, Outcome.FIRST]


async def test_a_refusal_by_the_limits_is_the_same_for_a_retry(
    adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
) -> None:
    once = Limit(queries=1, window_s=90, wrong=5, wrong_window_s=90)
    throttle = MemoryThrottle(service.clock, dict.fromkeys(_KINDS, once))
    await service.pipeline_with(throttle=throttle).carry(adapter, binding.ask(service.code()))
    request = binding.ask(service.code(number=1), message="message-2")
    answers = []
    for _ in range(3):  # half a minute less to wait each time, and still the answer that was given
        answers.append(await service.pipeline_with(throttle=throttle).carry(adapter, request))
        service.clock.advance(29)
    assert answers[1:] == answers[:-1]
    assert new_queries(service) == [Outcome.FIRST, Outcome.THROTTLED]
    assert len(service.store.facts) == 1
    assert pushed(binding, service, 2)
    service.clock.advance(10)  # who came back when they were told to is not held to the refusal
    await service.pipeline_with(throttle=throttle).carry(adapter, request)
    assert new_queries(service)[2:] == [Outcome.FIRST]


async def test_only_a_second_message_turns_a_slip_into_a_code_not_in_the_record(
    adapter: ChannelAdapter, binding: ChannelBinding, service: SampleService
) -> None:
    slip = slip_of(service.code(), 2, 11)
    for _ in range(3):
        await service.pipeline.carry(adapter, binding.ask(slip))
    assert service.store.facts == []
    await service.pipeline.carry(adapter, binding.ask(slip, message="message-2"))
    assert new_queries(service) == [Outcome.MISTYPED, Outcome.NOT_FOUND]
    assert [fact.verification.outcome for fact in service.store.facts] == [Outcome.NOT_FOUND]
