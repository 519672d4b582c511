"""One request is opened once, whatever comes between its proof and its answer; no other is taken for it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from app.core.errors import NotAuthentic
from channels.base import InboundRequest
from channels.turns import CommandGiven
from channels.wechat.mini_program_push import MiniProgramAdapter
from channels.wechat.official_account import OfficialAccountAdapter
from channels.wechat.settings import Account
from channels.wechat.simulate import read_answer, text_message
from tests.contract.channel.wechat_bindings import COMPATIBLE, MINI_PROGRAM, NOW, OFFICIAL, PLAIN, brought
from tests.fakes.sample_service import SampleService, start_sample_service

CROWD = 200  # more than are kept


@pytest.fixture
async def service() -> AsyncIterator[SampleService]:
    service = await start_sample_service()
    yield service
    await service.engine.close()


def crowd(account: Account) -> list[InboundRequest]:
    return [
        brought(account, text_message("你好", openid=f"o{number:027d}", message_id=number, created_at=NOW))
        for number in range(CROWD)
    ]


@pytest.mark.parametrize("account", [OFFICIAL, COMPATIBLE, PLAIN], ids=lambda account: account.mode.value)
def test_a_crowd_under_way_is_told_apart(service: SampleService, account: Account) -> None:
    adapter = OfficialAccountAdapter(account, service.context)
    requests = crowd(account)
    for request in requests:
        adapter.authenticate(request)
    turns = [adapter.decode(request) for request in requests]
    ids = {turn.envelope.message_id for turn in turns if isinstance(turn, CommandGiven) and turn.envelope}
    assert len(ids) == CROWD
    for number, request in enumerate(requests):
        answer = adapter.say(request, f"您好 {number}")
        assert read_answer(account, answer.body).text == f"您好 {number}"
        assert answer == OfficialAccountAdapter(account, service.context).say(request, f"您好 {number}")


def test_an_equal_request_is_proved_by_itself(service: SampleService) -> None:
    adapter = OfficialAccountAdapter(OFFICIAL, service.context)
    request = brought(OFFICIAL, text_message("1", openid="o1", message_id=7, created_at=NOW))
    adapter.authenticate(request)
    for changed in (
        replace(request, received_at=request.received_at + timedelta(minutes=6)),
        replace(request, query={**request.query, "msg_signature": "0" * 40}),
        replace(request, body=request.body.replace(b"<Encrypt>", b"<Encrypt >").replace(b"A", b"B")),
    ):
        with pytest.raises(NotAuthentic):
            adapter.authenticate(changed)
        with pytest.raises(NotAuthentic):
            adapter.decode(changed)


@pytest.mark.parametrize("text", ["", "您好"])
def test_nothing_is_kept_of_what_was_answered(service: SampleService, text: str) -> None:
    adapters = (
        (OFFICIAL, OfficialAccountAdapter(OFFICIAL, service.context)),
        (MINI_PROGRAM, MiniProgramAdapter(MINI_PROGRAM, service.context)),
    )
    for account, adapter in adapters:
        request = brought(account, text_message("1", openid="o1", message_id=7, created_at=NOW))
        held = sys.getrefcount(request)
        adapter.authenticate(request)
        assert sys.getrefcount(request) == held + 1
        adapter.decode(request)
        adapter.say(request, text)
        assert sys.getrefcount(request) == held
