"""The texts that the rows of messages are measured with: every provider brings every code, and a proof that holds."""

import asyncio

import pytest

from app.adapters.identities import KeyedIdentities
from app.core.errors import NotAuthentic
from app.core.model.code import PRESET_LENGTHS
from channels.base import ChannelContext, InboundRequest, OutboundResponse
from channels.sms.smpp.bringing import TAKEN
from channels.sms.smpp.wire import read_delivery
from channels.turns import CodeSubmitted, Several
from tests.bench import message_rows
from tests.bench.__main__ import PARTS
from tests.bench.message_samples import (
    PROVIDERS,
    Arrived,
    arrived,
    bringing_of,
    context_of,
    messages,
    provider_adapters,
)
from tests.bench.wechat_samples import ACCOUNTS

CODES = ["12345678901234567801", "98765432109876543298", "11112222333344445555"]
COUNT = 60


@pytest.fixture(scope="module")
def context() -> ChannelContext:
    return context_of(KeyedIdentities(caller_key=bytes(32), result_key=bytes(32)), lambda: PRESET_LENGTHS)


def requests_of(context: ChannelContext, given: list[Arrived]) -> list[InboundRequest]:
    """Return the requests, those made of units of SMPP included."""
    requests = [one for one in given if isinstance(one, InboundRequest)]
    bringing = bringing_of(context)

    async def keep(request: InboundRequest) -> OutboundResponse:
        requests.append(request)
        return OutboundResponse(status=200)

    async def bring() -> None:
        bringing.carry = keep
        for one in given:
            if isinstance(one, bytes):
                assert (await bringing.bring(read_delivery(one))).status is TAKEN

    asyncio.run(bring())
    return requests


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_text_is_another_message_of_another_sender_about_its_code(
    context: ChannelContext, provider: str
) -> None:
    adapter = provider_adapters(context)[provider]
    turns: list[CodeSubmitted] = []
    for request in requests_of(context, arrived(provider, messages(CODES, 0, COUNT))):
        adapter.authenticate(request)
        turn = adapter.decode(request)
        for one in turn.turns if isinstance(turn, Several) else (turn,):
            assert isinstance(one, CodeSubmitted)
            turns.append(one)
    assert [turn.request.code.digits for turn in turns] == CODES * (COUNT // len(CODES))
    assert len({turn.request.message_id for turn in turns}) == COUNT
    assert len({turn.request.caller.token for turn in turns}) == COUNT
    assert all(turn.envelope is not None and turn.envelope.address is not None for turn in turns)


@pytest.mark.parametrize("provider", ["twilio", "kannel", "gateway", *ACCOUNTS])
def test_the_proof_is_really_looked_at(context: ChannelContext, provider: str) -> None:
    (request,) = requests_of(context, arrived(provider, messages(CODES, 0, 1)))
    forged = InboundRequest(
        method=request.method,
        route=request.route,
        path=request.path,
        body=request.body,
        query={name: "0" if "signature" in name else text for name, text in request.query.items()},
        received_at=request.received_at,
        remote=request.remote,
    )
    with pytest.raises(NotAuthentic):
        provider_adapters(context)[provider].authenticate(forged)


def test_every_row_can_be_asked_for() -> None:
    (part,) = (part for part in PARTS if "P9" in part.rows)
    goals = [*message_rows.ADAPTERS.values(), *message_rows.WHOLE.values(), message_rows.COURIER]
    assert [goal.row for goal in goals] == [f"P9{letter}" for letter in "abcdjklefghmnoi"]
    assert {goal.row for goal in goals} < set(part.rows)
