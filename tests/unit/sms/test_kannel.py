"""Kannel's wire: what its requests mean, what our answers look like, what sendsms answers, and the shipped file."""

import re
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.reply import Accepted, Delivery, ReplyAddress, ReplyId
from app.core.ports.http_calls import HttpAnswer, NotCalled, Unanswered
from channels.abilities import Deferred, OutgoingText, Rejected, Unknown
from channels.base import InboundRequest, Refusal, RefusalKind
from channels.sms.dialect import IncomingText
from channels.sms.kannel.dialect import ASKED, REPORTED, KannelDialect
from channels.sms.kannel.sender import KannelSender
from channels.sms.settings import LOOPBACK, KannelOptions, Network
from channels.turns import DeliveryReport, Ignored
from tests.fakes.fake_calls import Answer, FakeCalls

NOW = datetime(2026, 11, 21, 10, 3, 30, tzinfo=UTC)
SECRET, NEXT_SECRET = "s-of-last-year", "s-of-this-year"
CONFIG = Path(__file__).resolve().parents[3] / "config/kannel.conf"
# as smsbox 1.4.5 sent it
SEEN = {
    "from": "+8613800000001",
    "to": "95001",
    "text": "查询12345",
    "id": "62b7df70-9e3c-4a76-8c41-fd05e821c4d4",
    "ts": "2026-11-21 10:03:27",
    "charset": "UTF-8",
    "smsc": "FAKE",
}


def dialect(*, allow_from: tuple[Network, ...] = LOOPBACK, send_url: str = "") -> KannelDialect:
    options = KannelOptions(secrets=(SECRET, NEXT_SECRET), allow_from=allow_from, send_url=send_url)
    return KannelDialect(options, calls=FakeCalls(), public_url="https://verify.example")


def asked(secret: str = SECRET, remote: str = "127.0.0.1", **query: str) -> InboundRequest:
    return InboundRequest(
        method="GET",
        route=ASKED.path,
        path=f"/channels/sms/kannel/{secret}",
        parts={"secret": secret},
        query=SEEN | query,
        remote=remote,
        received_at=NOW,
    )


def reported(reply: str = "7", **query: str) -> InboundRequest:
    return InboundRequest(
        method="GET",
        route=REPORTED.path,
        path=f"/channels/sms/kannel/{SECRET}/delivered/{reply}",
        parts={"secret": SECRET, "reply": reply},
        query=query,
        remote="127.0.0.1",
        received_at=NOW,
    )


def text_of(request: InboundRequest) -> IncomingText:
    (item,) = dialect().decode(request)
    assert isinstance(item, IncomingText)
    return item


# ------------------------------------------------------------------------------------------ who asks


@pytest.mark.parametrize("secret", [SECRET, NEXT_SECRET])
@pytest.mark.parametrize("remote", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_each_secret_from_the_loopback_is_believed(secret: str, remote: str) -> None:
    dialect().authenticate(asked(secret, remote))


@pytest.mark.parametrize(
    ("secret", "remote"),
    [
        ("", "127.0.0.1"),
        (SECRET[:-1], "127.0.0.1"),
        (SECRET + "x", "127.0.0.1"),
        (SECRET.upper(), "127.0.0.1"),
        (SECRET + NEXT_SECRET, "127.0.0.1"),
        ("密\udcff", "127.0.0.1"),
        (SECRET, "203.0.113.7"),
        (SECRET, "::ffff:203.0.113.7"),
        (SECRET, ""),
        (SECRET, "unix"),
    ],
)
def test_anything_else_is_forged_and_told_nothing(secret: str, remote: str) -> None:
    with pytest.raises(NotAuthentic) as raised:
        dialect().authenticate(asked(secret, remote))
    answer = dialect().refuse(
        Refusal(kind=RefusalKind.NOT_AUTHENTIC, message=str(raised.value), cause=raised.value)
    )
    assert answer.status == 403
    for told in (str(raised.value), answer.body.decode()):
        assert SECRET not in told
        assert NEXT_SECRET not in told


def test_the_list_of_addresses_is_the_operators() -> None:
    elsewhere = dialect(allow_from=(ip_network("10.1.0.0/16"), ip_network("2001:db8::/32")))
    elsewhere.authenticate(asked(remote="10.1.2.3"))
    elsewhere.authenticate(asked(remote="::ffff:10.1.2.3"))
    elsewhere.authenticate(asked(remote="2001:db8::7"))
    with pytest.raises(NotAuthentic):
        elsewhere.authenticate(asked(remote="127.0.0.1"))


@pytest.mark.parametrize("secrets", [(), ("",), ("one", ""), ("with/slash",)])
def test_an_address_without_a_secret_is_not_opened(secrets: tuple[str, ...]) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        KannelDialect(KannelOptions(secrets=secrets), calls=FakeCalls(), public_url="https://verify.example")
    assert "with/slash" not in str(raised.value)


def test_settings_do_not_show_what_is_secret() -> None:
    shown = repr(KannelOptions(secrets=(SECRET,), send_url="http://127.0.0.1:1/", send_password="hush"))
    assert SECRET not in shown
    assert "hush" not in shown


# ------------------------------------------------------------------------------------------ what came


def test_a_text_as_kannel_sends_it() -> None:
    text = text_of(asked())
    assert (text.sender, text.ours, text.text) == ("+8613800000001", "95001", "查询12345")
    assert text.message_id == SEEN["id"]
    assert text.sent_at == datetime(2026, 11, 21, 10, 3, 27, tzinfo=UTC)


def test_a_retry_has_the_same_ids_and_a_second_delivery_the_same_alias() -> None:
    first, retry, again = text_of(asked()), text_of(asked()), text_of(asked(id="another"))
    assert retry == first
    assert again.message_id != first.message_id
    assert again.alias_id == first.alias_id != ""


@pytest.mark.parametrize("changed", [{"from": "+8613800000002"}, {"to": "95002"}, {"text": "1"}])
def test_another_message_has_another_alias(changed: dict[str, str]) -> None:
    assert text_of(asked(**changed)).alias_id != text_of(asked()).alias_id
    assert text_of(asked(ts="2026-11-21 10:03:28")).alias_id != text_of(asked()).alias_id


def test_without_an_id_the_digest_is_the_id() -> None:
    text = text_of(asked(id=""))
    assert text.message_id == text_of(asked()).alias_id
    assert text.alias_id == ""


def test_without_a_time_the_id_stands_alone() -> None:
    text = text_of(asked(ts=""))
    assert (text.message_id, text.alias_id, text.sent_at) == (SEEN["id"], "", None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-21 10:03", datetime(2026, 11, 21, 10, 3, tzinfo=UTC)),
        ("2026-02-29 10:03:00", None),
        ("1763719407", None),
        ("21.11.2026", None),
        ("2026-11-21T10:03:27Z", None),
    ],
)
def test_odd_times_are_no_times(written: str, meant: datetime | None) -> None:
    assert text_of(asked(ts=written)).sent_at == meant


def test_an_empty_text_is_a_text() -> None:
    assert text_of(asked(text="")).text == ""


@pytest.mark.parametrize(
    "wrong", [{"from": ""}, {"from": "  "}, {"charset": "UTF-16BE"}, {"id": "", "ts": ""}]
)
def test_a_wrong_get_url_is_refused_with_the_remedy_and_without_the_text(wrong: dict[str, str]) -> None:
    with pytest.raises(Undecodable) as raised:
        dialect().decode(asked(**wrong))
    answer = dialect().refuse(
        Refusal(kind=RefusalKind.MALFORMED, message=str(raised.value), cause=raised.value)
    )
    assert answer.status == 400
    assert "get-url" in answer.body.decode() or "mo-recode" in answer.body.decode()
    assert SEEN["text"] not in answer.body.decode()


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("1", Delivery.DELIVERED),
        ("2", Delivery.FAILED),
        ("4", Delivery.ACCEPTED),
        ("8", Delivery.SENT),
        ("16", Delivery.FAILED),
    ],
)
def test_a_delivery_report(status: str, state: Delivery) -> None:
    report = DeliveryReport(sender="kannel", provider_id="f1", reply_id=ReplyId(7), state=state)
    assert dialect().decode(reported("7", status=status, id="f1")) == (report,)


def test_a_report_of_an_unknown_kind_changes_nothing() -> None:
    assert dialect().decode(reported("7", status="32")) == (Ignored(why="delivery_status_unknown"),)


@pytest.mark.parametrize(
    ("reply", "query"),
    [
        ("7", {}),
        ("x", {"status": "1"}),
        ("-1", {"status": "1"}),
        ("9" * 30, {"status": "1"}),
        ("٣", {"status": "1"}),
    ],
)
def test_a_report_about_nothing_is_refused(reply: str, query: dict[str, str]) -> None:
    with pytest.raises(Undecodable):
        dialect().decode(reported(reply, **query))


# ------------------------------------------------------------------------------------------ what is said


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("【验真】首次查询", "2"),
        ("Genuine, first check", "0"),
        ("3 € [x] {y}", "0"),
        ("ok ✓", "2"),
        ("😀", "2"),
        ("", "0"),
    ],
)
def test_an_answer_names_the_alphabet_it_needs(text: str, coding: str) -> None:
    answer = dialect().say(asked(), text)
    assert (answer.status, answer.body.decode(), answer.content_type) == (
        200,
        text,
        "text/plain; charset=utf-8",
    )
    assert answer.headers == (("X-Kannel-Coding", coding),)


@pytest.mark.parametrize("kind", RefusalKind)
def test_no_refusal_is_taken_for_a_reply(kind: RefusalKind) -> None:
    answer = dialect().refuse(Refusal(kind=kind, message="words", locale="zh-CN"))
    assert answer.status not in {200, 202}
    assert answer.body.isascii()


# ------------------------------------------------------------------------------------------ what is pushed

PUSHED = OutgoingText(
    reply_id=ReplyId(7),
    address=ReplyAddress(sender="kannel", recipient="+8613800000001", ours="95001"),
    text="【验真】第3次查询&100%",
)


def sender(*answers: Answer, secret: str = SECRET) -> tuple[KannelSender, FakeCalls]:
    calls = FakeCalls(answers)
    options = KannelOptions(
        secrets=(secret, NEXT_SECRET),
        send_url="http://127.0.0.1:13013/cgi-bin/sendsms",
        send_username="yanzhen",
        send_password="p&w",
    )
    return KannelSender(options, calls=calls, public_url="https://verify.example/"), calls


async def test_a_pushed_text_is_one_call_with_everything_in_it() -> None:
    way_out, calls = sender(HttpAnswer(status=202, body=b"0: Accepted for delivery"))
    assert await way_out.send(PUSHED) == Accepted()
    (call,) = calls.made
    assert call.method == "GET"
    assert call.url.isascii()
    assert "+" not in call.url  # a space is %20 and a plus sign %2B, whoever decodes
    address, _, query = call.url.partition("?")
    assert address == "http://127.0.0.1:13013/cgi-bin/sendsms"
    assert dict(parse_qsl(query, strict_parsing=True)) == {
        "username": "yanzhen",
        "password": "p&w",
        "from": "95001",
        "to": "+8613800000001",
        "coding": "2",
        "charset": "UTF-8",
        "dlr-mask": "27",
        "dlr-url": f"https://verify.example/channels/sms/kannel/{SECRET}/delivered/7?status=%d&id=%F",
        "text": PUSHED.text,
    }


async def test_a_secret_that_must_be_quoted_survives_what_kannel_fills_in() -> None:
    way_out, calls = sender(HttpAnswer(status=202), secret="密 1")
    await way_out.send(PUSHED)
    given = dict(parse_qsl(urlsplit(calls.made[0].url).query))["dlr-url"]
    assert "/kannel/%%E5%%AF%%86%%201/delivered/7?status=%d" in given


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (HttpAnswer(status=202, body=b"0: Accepted for delivery"), Accepted()),
        (HttpAnswer(status=202, body=b"3: Queued for later delivery"), Accepted()),
        (HttpAnswer(status=202, body=b"Sent."), Accepted()),
        (HttpAnswer(status=200, body=b"0: Accepted for delivery\n"), Accepted()),
        (HttpAnswer(status=200, body=b"1: Refused"), Rejected(why="gateway_refused")),
        (HttpAnswer(status=202, body=b"2: Refused"), Rejected(why="gateway_refused")),
        (HttpAnswer(status=202, body=b"4: Busy"), Deferred(why="gateway_busy")),
        (HttpAnswer(status=200, body=b"<html>"), Unknown(why="gateway_answered_otherwise")),
        (
            HttpAnswer(status=400, body=b"Sender missing and no global set, rejected"),
            Rejected(why="gateway_refused"),
        ),
        (HttpAnswer(status=403, body=b"Not routable. Do not try again."), Rejected(why="not_routable")),
        (
            HttpAnswer(status=403, body=b"Authorization failed for sendsms"),
            Deferred(why="gateway_setup_wrong", after_s=60),
        ),
        (HttpAnswer(status=404), Deferred(why="gateway_setup_wrong", after_s=60)),
        (HttpAnswer(status=503, body=b"Temporal failure, try again later."), Deferred(why="gateway_busy")),
        (HttpAnswer(status=500, body=b"Sending failed."), Deferred(why="gateway_busy")),
        (HttpAnswer(status=502), Unknown(why="gateway_answered_otherwise")),
        (NotCalled(why="refused"), Deferred(why="gateway_unreachable")),
        (Unanswered(why="time"), Unknown(why="gateway_did_not_answer")),
    ],
)
async def test_what_an_answer_of_sendsms_means(
    answer: Answer, meaning: Accepted | Rejected | Deferred | Unknown
) -> None:
    way_out, _ = sender(answer)
    assert await way_out.send(PUSHED) == meaning


async def test_kannel_cannot_be_asked_what_it_sent() -> None:
    async def none(ids: object) -> frozenset[str]:
        return frozenset()

    way_out, calls = sender()
    assert isinstance(await way_out.find_sent(PUSHED, since=NOW, known_ids=none), Unknown)
    assert calls.made == []


def test_without_sendsms_nothing_is_pushed() -> None:
    assert (dialect().senders(), dialect().reply_by) == ((), "")
    pushing = dialect(send_url="http://127.0.0.1:13013/cgi-bin/sendsms")
    assert ([one.name for one in pushing.senders()], pushing.reply_by) == (["kannel"], "kannel")


# ------------------------------------------------------------------------------------------ the shipped file


def test_the_shipped_get_url_is_our_route_and_our_parameters() -> None:
    (url,) = re.findall(r'^get-url = "(.*)"$', CONFIG.read_text(encoding="utf-8"), re.MULTILINE)
    parts = urlsplit(url)
    assert parts.path == ASKED.path.format(secret="CHANGE-ME-secret")
    assert dict(pair.split("=") for pair in parts.query.split("&")) == {
        "from": "%p",
        "to": "%P",
        "text": "%b",
        "id": "%I",
        "ts": "%t",
        "charset": "%C",
    }


def test_the_shipped_file_holds_no_secret_no_trap_and_no_open_door() -> None:
    lines = [line for line in CONFIG.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    settings = [line.split(" = ", 1) for line in lines if line]
    names = {name for name, _ in settings}
    assert not names & {"global-sender", "smsbox-id", "access-log"}
    for name, value in settings:
        if name.endswith("password"):
            assert value.startswith("CHANGE-ME")
        if name.endswith("-interface"):
            assert value == "127.0.0.1"
        if name.startswith("reply-"):
            assert value.isascii()
            assert len(value) <= 160
    wanted = {
        ("mo-recode", "true"),
        ("omit-empty", "true"),
        ("accept-x-kannel-headers", "true"),
        ("max-messages", "1"),
        ("concatenation", "true"),
    }
    assert wanted <= {(name, value) for name, value in settings}
