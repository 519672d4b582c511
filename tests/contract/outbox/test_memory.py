from __future__ import annotations

import itertools

import pytest

from app.core.errors import StoreUnavailable
from app.core.model.reply import Accepted, Delivery
from app.core.ports.outbox import Outbox
from tests.contract.outbox.suite import ADDRESS, OutboxContract, at, key, taken
from tests.fakes.memory_outbox import MemoryOutbox


class TestMemoryOutbox(OutboxContract):
    @pytest.fixture
    def outbox(self) -> Outbox:
        return MemoryOutbox()


@pytest.mark.parametrize("order", list(itertools.permutations(Delivery)))
async def test_reports_in_any_order_end_the_same(order: tuple[Delivery, ...]) -> None:
    outbox = MemoryOutbox()
    reply = await taken(outbox)
    await outbox.settle(reply.id, Accepted(provider_id="p1"), now=at(2))
    for state in order:
        await outbox.note_delivery("twilio", provider_id="p1", reply_id=None, state=state, now=at(3))
    assert outbox.replies[0].delivery is Delivery.DELIVERED


async def test_down_it_is_unavailable() -> None:
    outbox = MemoryOutbox()
    outbox.down = True
    with pytest.raises(StoreUnavailable):
        await outbox.owe(key(1), ADDRESS, now=at(0), text="x")
