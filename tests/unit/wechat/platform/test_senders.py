"""What WeChat's answers to pushed messages mean for the courier, and what goes out."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from app.core.model.reply import Accepted
from app.core.ports.http_calls import HttpAnswer, NotCalled, Unanswered
from channels.abilities import Deferred, Rejected, Sender, Unknown
from channels.wechat.platform.senders import CustomerServiceSender, RecallSender, make_senders
from channels.wechat.settings import AccountKind
from tests.fakes.clock import START
from tests.unit.wechat.platform.clients import (
    OPENID,
    SECRET,
    TAKEN,
    answer,
    lent,
    make_account,
    path_of,
    refusal,
    stage,
    text_to,
)

TEMPLATE = "template-of-recalls"
NOTICE = {
    "page": "pages/check/check",
    "data": {"thing1": {"value": "清茗龙井"}, "time2": {"value": "2026-11-21 20:30"}},
}


async def test_a_text_goes_out_as_a_customer_service_message() -> None:
    made = stage([lent(), TAKEN])
    sender = CustomerServiceSender("official-account", made.platform)
    assert await sender.send(text_to(text="一行\n“两行”😀")) == Accepted()
    call = made.calls.made[-1]
    assert path_of(call).endswith("/cgi-bin/message/custom/send")
    assert json.loads(call.body) == {
        "touser": OPENID,
        "msgtype": "text",
        "text": {"content": "一行\n“两行”😀"},
    }
    assert "一行".encode() in call.body  # the platform shows escapes as they are written
    assert call.headers == (("Content-Type", "application/json"),)


async def test_a_notice_goes_out_as_a_subscribe_message() -> None:
    made = stage([lent(), answer(errcode=0, errmsg="ok", msgid=1234567890123)])
    sender = RecallSender("mini-program", TEMPLATE, made.platform)
    assert sender.name == "mini-program/recall"
    sent = await sender.send(text_to(text=json.dumps(NOTICE), sender=sender.name))
    assert sent == Accepted(provider_id="1234567890123")
    call = made.calls.made[-1]
    assert path_of(call).endswith("/cgi-bin/message/subscribe/send")
    assert json.loads(call.body) == {"touser": OPENID, "template_id": TEMPLATE, **NOTICE}


async def test_a_notice_may_lead_nowhere() -> None:
    made = stage([lent(), TAKEN])
    await RecallSender("mini-program", TEMPLATE, made.platform).send(
        text_to(text='{"data": {"thing1": {"value": "x"}}, "page": ""}')
    )
    assert "page" not in json.loads(made.calls.made[-1].body)


@pytest.mark.parametrize("text", ["", "召回", "[]", '{"page": "x"}', '{"data": "x"}', "\ud800", "[" * 5000])
async def test_what_is_no_notice_is_not_sent(text: str) -> None:
    made = stage()
    sender = RecallSender("mini-program", TEMPLATE, made.platform)
    assert await sender.send(text_to(text=text)) == Rejected(why="not_a_notice")
    assert made.calls.made == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (refusal(40003), Rejected(why="bad_recipient")),
        (refusal(43004), Rejected(why="does_not_follow")),
        (refusal(43101), Rejected(why="not_subscribed")),
        (refusal(45015), Rejected(why="past_48_hours")),
        (refusal(45047), Rejected(why="too_many_unanswered")),
        (refusal(48001), Rejected(why="api_not_granted")),
        (refusal(99999), Rejected(why="refused_by_platform")),
        (refusal(-1), Deferred(why="platform_busy", after_s=5.0)),
        (refusal(45009), Deferred(why="quota_used_up", after_s=600.0)),
        (refusal(45011), Deferred(why="too_frequent", after_s=60.0)),
        (NotCalled(why="connection"), Deferred(why="not_connected", after_s=5.0)),
        (HttpAnswer(status=403), Deferred(why="setup_wrong", after_s=60.0)),
        (Unanswered(why="deadline"), Unknown(why="no_answer")),
        (HttpAnswer(status=500), Unknown(why="unexpected_status")),
        (HttpAnswer(status=200, body=b"ok"), Unknown(why="unreadable_answer")),
        (answer(), Unknown(why="unreadable_answer")),
    ],
)
@pytest.mark.parametrize("way", ["messages", "recalls"])
async def test_what_an_answer_means(
    said: HttpAnswer | NotCalled | Unanswered, meant: Rejected | Deferred | Unknown, way: str
) -> None:
    made = stage([lent(), said])
    sender: Sender = (
        CustomerServiceSender("a", made.platform)
        if way == "messages"
        else RecallSender("a", TEMPLATE, made.platform)
    )
    result = await sender.send(text_to(text=json.dumps(NOTICE)))
    assert result == meant
    assert OPENID not in repr(result)
    assert SECRET not in repr(result)


@pytest.mark.parametrize(
    ("code", "why"), [(40037, "template_unknown"), (41030, "page_unknown"), (47003, "template_data_wrong")]
)
async def test_a_notice_waits_for_the_operator_to_mend_its_template(code: int, why: str) -> None:
    made = stage([lent(), refusal(code)])
    sender = RecallSender("mini-program", TEMPLATE, made.platform)
    assert await sender.send(text_to(text=json.dumps(NOTICE))) == Deferred(why=why, after_s=600.0)


async def test_without_a_recipient_nobody_is_called() -> None:
    made = stage()
    rejected = Rejected(why="bad_recipient")
    assert await CustomerServiceSender("a", made.platform).send(text_to(recipient="")) == rejected
    recalls = RecallSender("a", TEMPLATE, made.platform)
    assert await recalls.send(text_to(recipient="", text=json.dumps(NOTICE))) == rejected
    assert made.calls.made == []


async def test_half_a_character_does_not_stop_a_text() -> None:
    made = stage([lent(), TAKEN])
    assert await CustomerServiceSender("a", made.platform).send(text_to(text="清茗\ud83d")) == Accepted()
    assert json.loads(made.calls.made[-1].body)["text"] == {"content": "清茗?"}


async def test_the_platform_cannot_be_asked_what_it_took() -> None:
    async def nobody_knows(_ids: Collection[str]) -> frozenset[str]:
        return frozenset()

    made = stage()
    sender = CustomerServiceSender("a", made.platform)
    found = await sender.find_sent(text_to(), since=START, known_ids=nobody_knows)
    assert found == Unknown(why="platform_cannot_be_asked")
    await sender.close()
    assert made.calls.made == []


def test_an_account_has_the_ways_out_that_it_is_set_up_for() -> None:
    platform = stage().platform

    def names(kind: AccountKind, **more: object) -> list[str]:
        return [sender.name for sender in make_senders(make_account(kind, **more), platform)]

    official, mini = AccountKind.OFFICIAL_ACCOUNT, AccountKind.MINI_PROGRAM
    assert names(official) == ["official-account"]
    assert names(official, recall_template=TEMPLATE) == ["official-account"]
    assert names(mini) == ["mini-program"]
    assert names(mini, recall_template=TEMPLATE) == ["mini-program", "mini-program/recall"]
    assert names(official, app_secret="") == names(official, app_id="") == []
