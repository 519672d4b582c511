"""Texts through a real Kannel: from the fake message centre to the record and back, byte by byte."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.http import AiohttpCalls
from app.core.model.reply import Accepted, ReplyAddress, ReplyId
from channels.abilities import OutgoingText
from channels.sms.kannel.sender import KannelSender
from channels.sms.settings import KannelOptions
from tests.acceptance.sms.conftest import SECRET, KannelSite
from tests.acceptance.sms.kannel_gateway import BUSY, OURS, SEND_PASSWORD, SEND_USER, Fetch, Received

pytestmark = pytest.mark.xdist_group("kannel")  # one gateway and one service for all of them

PHONE, ANOTHER, ABROAD = "+8613800138000", "+8613900139000", "+447911123456"


def one(kannel: KannelSite, phone: str, text: str) -> tuple[Received, Fetch]:
    """Text once and return the reply on the air with the answer it was made of."""
    before = len(kannel.relay.texts())
    (reply,) = kannel.gateway.exchange(phone, text)
    (fetch,) = kannel.relay.texts()[before:]
    assert (reply.sender, reply.recipient) == (OURS, phone)
    assert fetch.status == 200
    return reply, fetch


def ordinal(reply: Received) -> int:
    """Return the number of the query that a Chinese reply names."""
    found = re.search(r"(?:第|已被查)(\d+)次", reply.text)
    assert found is not None or "首次查询" in reply.text, reply.text
    return int(found[1]) if found is not None else 1


def test_chinese_in_and_chinese_out_byte_by_byte(kannel: KannelSite) -> None:
    reply, fetch = one(kannel, PHONE, f"请问这瓶是真的吗?{kannel.next_code()},谢谢")
    assert fetch.query["text"].startswith("请问这瓶是真的吗?")
    assert reply.coding == "ucs-2"
    assert reply.content == fetch.body.decode().encode("utf-16-be")
    assert len(reply.content) <= 140
    assert ordinal(reply) == 1


def test_id_and_time_arrive_as_we_read_them(kannel: KannelSite) -> None:
    _, fetch = one(kannel, PHONE, kannel.next_code())
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", fetch.query["id"])
    # the gateway runs in a zone eight hours ahead, and yet
    sent_at = datetime.strptime(fetch.query["ts"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - sent_at) < timedelta(minutes=10)


def test_english_goes_out_in_the_gsm_alphabet(kannel: KannelSite) -> None:
    reply, fetch = one(kannel, ABROAD, f"Is {kannel.next_code()} genuine?")
    assert reply.coding == "text"
    assert reply.content == fetch.body
    assert fetch.headers["x-kannel-coding"] == "0"
    assert len(reply.content) <= 160


@pytest.mark.parametrize(
    "written",
    ["{0}\n{1}\r\n{2}", "{0} {1}-{2}", "😀{0}{1}{2}😀", "查询：\n{0}\n{1}\n{2}\n"],
    ids=["lines", "groups", "emoji", "lines and Chinese"],
)
def test_a_code_is_found_however_it_is_written(kannel: KannelSite, written: str) -> None:
    code = kannel.next_code()
    text = written.format(code[:7], code[7:14], code[14:])
    reply, fetch = one(kannel, PHONE, text)
    assert fetch.query["text"] == text
    assert ordinal(reply) == 1


def test_a_lost_answer_is_asked_for_again_and_is_one_query(kannel: KannelSite) -> None:
    code = kannel.next_code()
    before = len(kannel.relay.texts())
    kannel.relay.lose = 2
    (reply,) = kannel.gateway.exchange(PHONE, code)
    fetches = kannel.relay.texts()[before:]
    assert [fetch.told for fetch in fetches] == [500, 500, 200]
    assert len({(fetch.query["id"], fetch.body) for fetch in fetches}) == 1
    assert ordinal(reply) == 1
    second, _ = one(kannel, ANOTHER, code)
    assert ordinal(second) == 2


def test_when_every_answer_is_lost_the_shopper_is_told_in_ascii_and_never_an_error_page(
    kannel: KannelSite,
) -> None:
    code = kannel.next_code()
    kannel.relay.lose = 4
    (reply,) = kannel.gateway.exchange(PHONE, code)
    assert (reply.coding, reply.text) == ("text", BUSY)
    assert kannel.relay.lose == 0


def test_a_burst_is_answered_text_by_text(kannel: KannelSite) -> None:
    code, count = kannel.next_code(), 200
    before = len(kannel.relay.texts())
    replies = kannel.gateway.exchange("+86138", code, times=count, replies=count, mixed=True)
    fetches = kannel.relay.texts()[before:]
    assert len({fetch.query["id"] for fetch in fetches}) == len(fetches) == count
    assert sorted(reply.recipient for reply in replies) == sorted(fetch.query["from"] for fetch in fetches)
    bodies = {fetch.query["from"]: fetch.body.decode() for fetch in fetches}
    assert all(reply.text == bodies[reply.recipient] for reply in replies)
    assert sorted(map(ordinal, replies)) == list(range(1, count + 1))


def test_a_pushed_reply_arrives_and_its_delivery_is_reported(kannel: KannelSite) -> None:
    text = OutgoingText(
        reply_id=ReplyId(7),
        address=ReplyAddress(sender="kannel", recipient=PHONE, ours=OURS),
        text="【验真】第3次查询，首次26-03-05内蒙古😀 & 100%",
    )
    options = KannelOptions(
        secrets=(SECRET,),
        send_url=kannel.gateway.send_url,
        send_username=SEND_USER,
        send_password=SEND_PASSWORD,
    )

    async def push() -> object:
        calls = AiohttpCalls()
        try:
            return await KannelSender(options, calls=calls, public_url=kannel.relay.url).send(text)
        finally:
            await calls.close()

    with kannel.gateway.listening("-m", "0", f"{PHONE} {OURS} text -") as replies_of:
        replies_of.until_connected()
        assert asyncio.run(push()) == Accepted()
        (reply,) = replies_of(1)
        reports = kannel.relay.wait_for_reports(2)
    assert (reply.sender, reply.recipient, reply.coding) == (OURS, PHONE, "ucs-2")
    assert reply.content == text.text.encode("utf-16-be")
    assert {report.path for report in reports} == {f"/channels/sms/kannel/{SECRET}/delivered/7"}
    # smsbox brings them on two connections: delivered may come before sent
    assert sorted(report.query["status"] for report in reports) == ["1", "8"]
    assert [report.status for report in reports] == [200, 200]


def test_the_gateways_logs_hold_no_text_no_number_and_no_secret(kannel: KannelSite) -> None:
    code = kannel.next_code()
    one(kannel, PHONE, code)
    for path in kannel.folder.glob("*.log"):
        log = path.read_text(encoding="utf-8", errors="replace")
        for secret in (code, PHONE.lstrip("+"), SECRET):
            assert secret not in log, path.name
