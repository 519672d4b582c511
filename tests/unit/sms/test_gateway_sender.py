"""Sending through a described gateway: what is asked, and what each answer means."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.model.reply import Accepted, ReplyAddress, ReplyId
from app.core.ports.http_calls import HttpAnswer, HttpCall, NotCalled, Unanswered
from channels.abilities import Deferred, OutgoingText, Rejected, Sender, Unknown
from channels.sms.gateway.description import SendDescription
from channels.sms.gateway.templates import make_call
from tests.fakes.clock import START
from tests.fakes.fake_calls import FakeCalls
from tests.unit.sms.gateway_samples import CREDENTIALS, SENDING, described

ODD = '第3次查询"},{"to":"1"}]{apikey}{to}&mobile=1\r\nX: y%s\\'


def outgoing(text: str = "【验真】正品", recipient: str = "+8613812345678") -> OutgoingText:
    address = ReplyAddress(sender="harbour", recipient=recipient, ours="10690417")
    return OutgoingText(reply_id=ReplyId(42), address=address, text=text)


def sender(folder: Path, calls: FakeCalls, text: str = SENDING) -> Sender:
    (found,) = described(folder, text, calls=calls, credentials=CREDENTIALS, reply_by="").senders()
    return found


def answer(document: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status=status, body=json.dumps(document).encode())


async def test_a_text_goes_as_json_whatever_stands_in_it(tmp_path: Path) -> None:
    calls = FakeCalls([answer({"code": 0, "data": [{"msgid": "m-7"}]})])
    assert await sender(tmp_path, calls).send(outgoing(ODD)) == Accepted(provider_id="m-7")
    (call,) = calls.made
    assert (call.method, call.url) == ("POST", "https://sms.example.cn/v1/a%2Fb/send")
    assert call.headers == (
        ("Content-Type", "application/json; charset=utf-8"),
        ("Authorization", 'Bearer k"ey'),
    )
    assert json.loads(call.body) == {
        "mobile": ["13812345678"],
        "content": ODD,
        "sender": "10690417",
        "report": False,
        "extra": {"key": 'k"ey', "reference": "r-42"},
    }


FORM = SENDING.replace('mobile = ["{to}"]', 'mobile = "{to}"').replace(
    'extra = { key = "{apikey}", reference = "r-{reply_id}" }', 'password = "{apikey}"'
)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_text_goes_as_a_form_or_in_the_address(tmp_path: Path, method: str) -> None:
    text = FORM.replace("drop_prefixes", f'method = "{method}"\nbody = "form"\ndrop_prefixes')
    calls = FakeCalls([answer({"code": "0"})])
    assert await sender(tmp_path, calls, text).send(outgoing(ODD, "+85251234567")) == Accepted()
    (call,) = calls.made
    form = call.body.decode() if method == "POST" else urlsplit(call.url).query
    assert dict(parse_qsl(form, keep_blank_values=True)) == {
        "mobile": "85251234567",
        "content": ODD,
        "sender": "10690417",
        "report": "false",
        "password": 'k"ey',
    }
    assert call.method == method
    assert (method == "GET") is (call.body == b"")


@given(to=st.text(), text=st.text(alphabet=st.characters(exclude_categories=["Cs"])), ours=st.text())
def test_no_value_leaves_its_place(to: str, text: str, ours: str) -> None:
    send = SendDescription(
        url="https://sms.example.cn/send", fields={"a": {"b": ["{text}"]}, "{to}": "c{text}d"}
    )
    call = make_call(send, {}, {"to": to, "text": text, "ours": ours, "reply_id": "1"})
    assert json.loads(call.body) == {"a": {"b": [text]}, "{to}": f"c{text}d"}
    assert isinstance(call, HttpCall)
    assert call.url == "https://sms.example.cn/send"


@pytest.mark.parametrize(
    ("given_answer", "meaning"),
    [
        (answer({"code": 0}), Accepted()),
        (answer({"code": "0", "data": [{"msgid": 7}]}), Accepted(provider_id="7")),
        (answer({"code": 0, "data": []}), Accepted()),
        (answer({"code": 12}), Deferred(why="put_off_by_provider", after_s=30.0)),
        (answer({"code": "busy"}), Deferred(why="put_off_by_provider", after_s=30.0)),
        (answer({"code": 3, "msg": "blacklisted 13812345678"}), Rejected(why="refused_by_provider")),
        (answer({"code": False}), Rejected(why="refused_by_provider")),
        (answer({}), Unknown(why="unreadable_answer")),
        (answer([]), Unknown(why="unreadable_answer")),
        (HttpAnswer(status=200, body=b"<html>"), Unknown(why="unreadable_answer")),
        (HttpAnswer(status=200, body=b"\xff"), Unknown(why="unreadable_answer")),
        (HttpAnswer(status=200, body=b"[" * 60_000), Unknown(why="unreadable_answer")),
        (answer({"code": 0}, status=201), Unknown(why="unexpected_status")),
        (answer({}, status=302), Unknown(why="unexpected_status")),
        (answer({}, status=408), Unknown(why="unexpected_status")),
        (answer({}, status=500), Unknown(why="unexpected_status")),
        (answer({}, status=502), Unknown(why="unexpected_status")),
        (answer({}, status=429), Deferred(why="busy", after_s=30.0)),
        (answer({}, status=503), Deferred(why="busy", after_s=30.0)),
        (answer({}, status=401), Deferred(why="not_admitted", after_s=60.0)),
        (answer({}, status=403), Deferred(why="not_admitted", after_s=60.0)),
        (answer({}, status=400), Rejected(why="refused_by_status")),
        (NotCalled(why="refused"), Deferred(why="not_connected")),
        (Unanswered(why="timeout"), Unknown(why="no_answer")),
    ],
)
async def test_each_answer_has_one_meaning(
    tmp_path: Path, given_answer: HttpAnswer | NotCalled | Unanswered, meaning: object
) -> None:
    calls = FakeCalls([given_answer])
    assert await sender(tmp_path, calls).send(outgoing()) == meaning
    assert len(calls.made) == 1
    assert calls.deadlines_s == [10.0]


async def test_a_status_alone_may_decide_and_nobody_can_be_asked_later(tmp_path: Path) -> None:
    alone = SENDING.split("[send.accepted]", maxsplit=1)[0] + "[send.accepted]\nstatus = [202]\n"
    calls = FakeCalls([HttpAnswer(status=202, body=b"thanks")])
    found = sender(tmp_path, calls, alone)
    assert await found.send(outgoing()) == Accepted()

    async def known_ids(ids: object) -> frozenset[str]:
        return frozenset()

    assert await found.find_sent(outgoing(), since=START, known_ids=known_ids) == Unknown(why="cannot_ask")
    assert found.name == "harbour"
