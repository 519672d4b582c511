"""Pushing replies through Twilio's REST API, against a real loopback server that plays it, on good days and bad."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator, Collection
from datetime import timedelta

import pytest

from app.core.model.reply import Accepted, ReplyAddress, ReplyId
from channels.abilities import Deferred, NotSent, OutgoingText, Rejected, Unknown
from channels.sms.settings import TwilioOptions
from channels.sms.twilio.sender import TwilioSender
from tests.fakes.twilio_rest_server import STARTED_AT, Answered, Fault, TwilioRestServer

ACCOUNT = "AC" + "12" * 16
TOKEN = "token-in-use-now"
OLD_TOKEN = "token-of-yesterday"
SHOPPER = "+8613912345678"
OURS = "+8610690000001"
TEXT = "【验真】清茗第3次查询，首次26-03-05内蒙古小程序。"
PUBLIC_URL = "https://check.example.cn"


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioRestServer]:
    async with TwilioRestServer(ACCOUNT, (TOKEN,), STARTED_AT).running() as server:
        yield server


@pytest.fixture
async def sender(twilio: TwilioRestServer) -> AsyncIterator[TwilioSender]:
    made = make_sender(twilio.url)
    yield made
    await made.close()
    gc.collect()  # an answer left open would warn here, and warnings are errors


def make_sender(url: str, *, tokens: tuple[str, ...] = (TOKEN,), timeout_s: float = 60.0) -> TwilioSender:
    options = TwilioOptions(auth_tokens=tokens, account_sid=ACCOUNT, api_url=url)
    return TwilioSender(options, PUBLIC_URL + "/", timeout_s=timeout_s)


def outgoing(
    text: str = TEXT, *, recipient: str = SHOPPER, ours: str = OURS, reply: int = 71
) -> OutgoingText:
    address = ReplyAddress(sender="twilio", recipient=recipient, ours=ours)
    return OutgoingText(reply_id=ReplyId(reply), address=address, text=text)


async def nobody_knows(_ids: Collection[str]) -> frozenset[str]:
    return frozenset()


async def test_a_text_goes_out_whole_and_its_report_is_asked_for(
    twilio: TwilioRestServer, sender: TwilioSender
) -> None:
    assert sender.name == "twilio"
    answer = await sender.send(outgoing())
    (message,) = twilio.messages
    assert answer == Accepted(provider_id=message.sid)
    assert (message.to, message.ours, message.body) == (SHOPPER, OURS, TEXT)
    assert message.callback == f"{PUBLIC_URL}/channels/sms/twilio/delivery/71"


async def test_a_messaging_service_may_send(twilio: TwilioRestServer, sender: TwilioSender) -> None:
    service = "MG" + "ab" * 16
    await sender.send(outgoing(ours=service))
    assert (twilio.messages[0].service, twilio.messages[0].ours) == (service, "")


async def test_without_a_number_nothing_is_called(twilio: TwilioRestServer, sender: TwilioSender) -> None:
    assert await sender.send(outgoing(recipient="")) == Rejected(why="no_number")
    assert await sender.send(outgoing(ours="")) == Rejected(why="no_number")
    assert twilio.calls == []


@pytest.mark.parametrize(
    ("answered", "meaning"),
    [
        (
            Answered(status=429, code=20429, headers={"Retry-After": "17"}),
            Deferred(why="too_many", after_s=17.0),
        ),
        (Answered(status=429, code=20429), Deferred(why="too_many", after_s=5.0)),
        (
            Answered(status=429, headers={"Retry-After": "99999999999"}),
            Deferred(why="too_many", after_s=3600.0),
        ),
        (Answered(status=400, code=21611), Deferred(why="queue_full", after_s=30.0)),
        (
            Answered(status=503, headers={"Retry-After": "0"}),
            Deferred(why="provider_unavailable", after_s=1.0),
        ),
        (
            Answered(status=503, headers={"Retry-After": "Thu, 05 Mar 2026 08:00:00 GMT"}),
            Deferred(why="provider_unavailable", after_s=5.0),
        ),
        (Answered(status=307, headers={"Location": "/other"}), Deferred(why="redirected", after_s=60.0)),
        (Answered(status=400, code=21211), Rejected(why="invalid_number")),
        (Answered(status=400, code=21610), Rejected(why="opted_out")),
        (Answered(status=400, code=21408), Rejected(why="region_not_enabled")),
        (Answered(status=404, code=20404), Deferred(why="account", after_s=60.0)),
        (Answered(status=403, code=20005), Deferred(why="account", after_s=60.0)),
        (Answered(status=400, code=29999), Rejected(why="refused")),
        (Answered(status=408), Unknown(why="provider_error")),
        (Answered(status=500, code=20500), Unknown(why="provider_error")),
        (Answered(status=502), Unknown(why="provider_error")),
        (Answered(status=504), Unknown(why="provider_error")),
    ],
    ids=lambda one: f"{one.status}-{one.code}" if isinstance(one, Answered) else one.why,
)
async def test_every_status_has_its_meaning(
    twilio: TwilioRestServer, sender: TwilioSender, answered: Answered, meaning: Rejected | Deferred | Unknown
) -> None:
    twilio.faults = [answered]
    assert await sender.send(outgoing()) == meaning
    assert twilio.calls == ["create"], "the library must not try by itself"


@pytest.mark.parametrize("fault", [Fault.CLOSE_AFTER, Fault.CUT, Fault.NONSENSE])
async def test_a_lost_answer_is_unknown_and_found_by_asking(
    twilio: TwilioRestServer, sender: TwilioSender, fault: Fault
) -> None:
    twilio.faults = [fault]
    assert isinstance(await sender.send(outgoing()), Unknown)
    found = await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows)
    assert found == Accepted(provider_id=twilio.messages[0].sid)
    assert twilio.calls == ["create", "list"]


async def test_no_answer_in_time_is_unknown_and_found_by_asking(
    twilio: TwilioRestServer, sender: TwilioSender
) -> None:
    hasty = make_sender(twilio.url, timeout_s=1.0)
    twilio.faults = [Fault.HANG]
    assert await hasty.send(outgoing()) == Unknown(why="no_answer_in_time")
    found = await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows)
    assert found == Accepted(provider_id=twilio.messages[0].sid)
    await hasty.close()


async def test_a_connection_that_ends_before_the_message_was_taken(
    twilio: TwilioRestServer, sender: TwilioSender
) -> None:
    twilio.faults = [Fault.CLOSE_BEFORE]
    assert isinstance(await sender.send(outgoing()), Unknown)
    assert await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows) == NotSent()
    assert twilio.messages == []


async def test_no_connection_means_not_sent(unused_tcp_port: int) -> None:
    unreachable = make_sender(f"http://127.0.0.1:{unused_tcp_port}")
    assert await unreachable.send(outgoing()) == Deferred(why="not_connected", after_s=5.0)
    found = await unreachable.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows)
    assert found == Unknown(why="list_failed", ask_again=True)
    await unreachable.close()


async def test_an_address_that_is_none_raises_nothing() -> None:
    wrong = make_sender("not an address")
    assert isinstance(await wrong.send(outgoing()), Unknown)
    await wrong.close()


async def test_a_token_that_was_rotated_away_gives_way_to_the_other(twilio: TwilioRestServer) -> None:
    rotating = make_sender(twilio.url, tokens=(OLD_TOKEN, TOKEN))
    assert isinstance(await rotating.send(outgoing()), Accepted)
    found = await rotating.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows)
    assert found == Accepted(provider_id=twilio.messages[0].sid)
    await rotating.close()

    outdated = make_sender(twilio.url, tokens=(OLD_TOKEN,))
    assert await outdated.send(outgoing()) == Deferred(why="credentials", after_s=60.0)
    assert len(twilio.messages) == 1
    await outdated.close()


async def test_only_this_very_text_is_found(twilio: TwilioRestServer, sender: TwilioSender) -> None:
    twilio.add(to=SHOPPER, ours=OURS, body=TEXT, direction="outbound-reply")  # said in TwiML
    twilio.add(to=SHOPPER, ours=OURS, body=TEXT, direction="inbound")
    twilio.add(to=SHOPPER, ours=OURS, body=TEXT + "!")
    twilio.add(to="+8613900000000", ours=OURS, body=TEXT)
    twilio.add(to=SHOPPER, ours="+8610690000002", body=TEXT)
    twilio.add(to=SHOPPER, ours=OURS, body=TEXT, created_at=STARTED_AT - timedelta(seconds=61))
    assert await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows) == NotSent()
    assert twilio.queries[0] == {"To": SHOPPER, "From": OURS, "PageSize": "200"}


async def test_the_newest_that_is_nobody_elses_is_found(
    twilio: TwilioRestServer, sender: TwilioSender
) -> None:
    first = twilio.add(to=SHOPPER, ours=OURS, body=TEXT, created_at=STARTED_AT - timedelta(seconds=59))
    second = twilio.add(to=SHOPPER, ours=OURS, body="Sent from your Twilio trial account - " + TEXT)
    third = twilio.add(to=SHOPPER, ours=OURS, body=TEXT)
    asked: list[list[str]] = []

    async def the_newest_is_known(ids: Collection[str]) -> frozenset[str]:
        asked.append(list(ids))
        return frozenset({third.sid})

    found = await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=the_newest_is_known)
    assert found == Accepted(provider_id=second.sid)
    assert asked == [[third.sid, second.sid, first.sid]]


async def test_a_list_too_long_to_read_proves_nothing(twilio: TwilioRestServer, sender: TwilioSender) -> None:
    for number in range(200):
        twilio.add(to=SHOPPER, ours=OURS, body=f"{number}")
    found = await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows)
    assert found == Unknown(why="list_too_long")
    twilio.messages[0].created_at = STARTED_AT - timedelta(days=1)
    assert await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows) == NotSent()


@pytest.mark.parametrize("fault", [Answered(status=500), Answered(status=429), Fault.CUT, Fault.NONSENSE])
async def test_a_list_that_fails_proves_nothing(
    twilio: TwilioRestServer, sender: TwilioSender, fault: Fault | Answered
) -> None:
    twilio.faults = [fault]
    found = await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows)
    assert found == Unknown(why="list_failed", ask_again=True)


async def test_a_store_that_fails_proves_nothing(twilio: TwilioRestServer, sender: TwilioSender) -> None:
    twilio.add(to=SHOPPER, ours=OURS, body=TEXT)

    async def broken(_ids: Collection[str]) -> frozenset[str]:
        raise OSError

    found = await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=broken)
    assert found == Unknown(why="list_failed", ask_again=True)


async def test_no_log_holds_number_text_or_token(
    twilio: TwilioRestServer, sender: TwilioSender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    twilio.faults = [Answered(status=400, code=21211), Fault.CLOSE_AFTER]
    for _ in range(3):
        await sender.send(outgoing())
    await sender.find_sent(outgoing(), since=STARTED_AT, known_ids=nobody_knows)
    for secret in (SHOPPER[1:], OURS[1:], TEXT, TOKEN, ACCOUNT):
        assert secret not in caplog.text


async def test_a_closed_sender_opens_again(twilio: TwilioRestServer, sender: TwilioSender) -> None:
    await sender.close()  # before it was ever used
    await sender.send(outgoing())
    await sender.close()
    assert isinstance(await sender.send(outgoing()), Accepted)
