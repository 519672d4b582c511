"""The SMPP link against two message centres that are not ours: npm smpp's server and smpp34's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import smpp34

from app.adapters.clock import SystemClock
from app.core.model.reply import Accepted, Delivery
from channels.abilities import Deferred, OutgoingText, Rejected, Unknown
from channels.sms.smpp.dialect import SmppDialect
from channels.sms.smpp.session import Pace
from channels.turns import DeliveryReport
from tests.fakes.clock import FakeClock
from tests.integration.sms.centres import (
    DEADLINE_S,
    QUICK,
    Desk,
    NodeCentre,
    listening,
    make_dialect,
    options,
    outgoing,
)

CHINESE = "查询12345678901234567890是不是真的？"
EXTENDED = "Is [12345] ~ {genuine}? €5 @ £3 ^|\\ _Δ"
ANSWER = "【验真】青山酒第1次查询，与我方记录一致。请核对瓶盖。举报4008001234。"


@asynccontextmanager
async def bound_pair(pace: Pace = QUICK, **choices: object) -> AsyncIterator[tuple[NodeCentre, Desk]]:
    centre = await NodeCentre.start()
    try:
        dialect = make_dialect(centre.port, pace=pace)
        async with listening(dialect, **choices) as desk:  # type: ignore[arg-type]
            await centre.see("bound")
            yield centre, desk
    finally:
        await centre.stop()


async def test_binds_as_asked_and_says_goodbye() -> None:
    centre = await NodeCentre.start()
    try:
        async with listening(make_dialect(centre.port)) as desk:
            bound = await centre.see("bound")
            assert (bound["system_id"], bound["system_type"], bound["version"]) == ("yanzhen", "VMS", 0x34)
            await centre.order("enquire")
            assert (await centre.see("alive"))["status"] == 0
            assert desk.link.is_bound
        await centre.see("unbound")
    finally:
        await centre.stop()


async def test_a_wrong_password_is_tried_again_until_it_is_right() -> None:
    centre = await NodeCentre.start(password="other")
    try:
        async with listening(make_dialect(centre.port)) as desk:
            await centre.see("refused")
            await centre.see("refused")
            assert desk.link.trouble == "refused_0x0E"
            assert await desk.link.send(outgoing("hi")) == Deferred(why="not_bound")
            await centre.order("password", value="secret")
            await centre.see("bound")
    finally:
        await centre.stop()


async def test_comes_back_after_the_centre_was_away() -> None:
    centre = await NodeCentre.start()
    async with listening(make_dialect(centre.port)) as desk:
        await centre.see("bound")
        await centre.stop()
        again = await NodeCentre.start(port=centre.port)
        try:
            await again.see("bound")
            await again.order("unbind")  # a centre that sends us away is left and found again as well
            await again.see("unbind_answered")
            await again.see("bound")
            await again.order("deliver", name="a", message=CHINESE, data_coding=8)
            await again.see("answered", name="a", status=0)
            assert [text.text for text in desk.texts] == [CHINESE]
        finally:
            await again.stop()


async def test_asks_for_signs_of_life_and_refuses_what_it_does_not_know() -> None:
    async with bound_pair() as (centre, _):
        await centre.see("enquired")
        await centre.order("strange")
        await centre.order("enquire")
        await centre.see("alive")


async def test_a_centre_that_does_not_answer_any_more_is_left_and_found_again() -> None:
    centre = await NodeCentre.start()
    try:
        dialect = make_dialect(centre.port, pace=replace(QUICK, response_s=0.5))
        async with listening(dialect):
            await centre.see("bound")
            await centre.order("deaf", value=True)
            await centre.see("closed")
            await centre.order("deaf", value=False)
            await centre.see("bound")
    finally:
        await centre.stop()


@pytest.mark.parametrize(
    ("coding", "text"),
    [(0, EXTENDED), (1, EXTENDED), (1, "code 12345 _ $"), (3, "é à 12345"), (8, CHINESE)],
)
async def test_every_alphabet_arrives_as_it_was_written(coding: int, text: str) -> None:
    async with bound_pair() as (centre, desk):
        await centre.order("deliver", name="a", message=text, data_coding=coding)
        await centre.see("answered", name="a", status=0)
        (item,) = desk.texts
        assert (item.text, item.sender, item.ours, item.media) == (text, "+8613800000001", "95001", False)


async def test_a_text_in_the_payload_parameter_a_picture_and_an_empty_text() -> None:
    async with bound_pair() as (centre, desk):
        payload = {"message": CHINESE}
        await centre.order("deliver", name="p", octets="", message_payload=payload, data_coding=8)
        await centre.see("answered", name="p", status=0)
        await centre.order("deliver", name="b", octets="00ff", data_coding=4)
        await centre.see("answered", name="b", status=0)
        await centre.order("deliver", name="e", octets="", data_coding=0)
        await centre.see("answered", name="e", status=0)
        assert [(text.text, text.media) for text in desk.texts] == [(CHINESE, False), ("", True), ("", False)]


UDH_16 = {1: "0608040142" + "0301", 2: "0608040142" + "0302", 3: "0608040142" + "0303"}
UDH_8 = {1: "050003420301", 2: "050003420302", 3: "050003420303"}
PARTS = {1: "码是1234567", 2: "8901", 3: "234567890，是真的吗"}


@pytest.mark.parametrize("headers", [UDH_8, UDH_16])
async def test_parts_by_header_out_of_order_and_twice_are_one_text(headers: dict[int, str]) -> None:
    async with bound_pair() as (centre, desk):
        for number in (3, 1, 3, 2):
            await centre.order(
                "deliver", name=str(number), udh=headers[number], message=PARTS[number], data_coding=8
            )
        for number in (3, 1, 3, 2):
            await centre.see("answered", name=str(number), status=0)
        assert [text.text for text in desk.texts] == ["".join(PARTS.values())]


async def test_parts_by_parameters_out_of_order_are_one_text_and_two_shoppers_stay_apart() -> None:
    async with bound_pair() as (centre, desk):
        for number in (2, 1, 3):
            for shopper, sign in (("8613800000001", "甲"), ("8613900000002", "乙")):
                await centre.order(
                    "deliver",
                    name=f"{shopper}-{number}",
                    source_addr=shopper,
                    message=sign + PARTS[number],
                    data_coding=8,
                    sar_msg_ref_num=7,
                    sar_total_segments=3,
                    sar_segment_seqnum=number,
                )
        await desk.until(lambda desk: len(desk.texts) == 2)
        assert {text.sender: text.text for text in desk.texts} == {
            "+8613800000001": "".join("甲" + part for part in PARTS.values()),
            "+8613900000002": "".join("乙" + part for part in PARTS.values()),
        }


async def test_a_centre_that_sends_one_part_at_a_time_is_not_kept_waiting_for_ever() -> None:
    async with bound_pair() as (centre, desk):
        for number in (1, 2, 3):
            await centre.order(
                "deliver", name=str(number), udh=UDH_8[number], message=PARTS[number], data_coding=8
            )
            await centre.see("answered", name=str(number), status=0)
        assert [text.text for text in desk.texts] == ["".join(PARTS.values())]


async def test_a_text_whose_end_never_comes_is_brought_with_a_gap() -> None:
    centre = await NodeCentre.start()
    try:
        dialect = make_dialect(centre.port, pace=replace(QUICK, missing_s=0.6))
        async with listening(dialect) as desk:
            await centre.see("bound")
            await centre.order("deliver", name="1", udh=UDH_8[1], message=PARTS[1], data_coding=8)
            await centre.see("answered", name="1", status=0)
            await desk.until(lambda desk: len(desk.texts) == 1)
            assert desk.texts[0].text == PARTS[1] + " … "
    finally:
        await centre.stop()


@pytest.mark.parametrize(("text", "coding"), [(ANSWER, 8), (EXTENDED, 0), ("x" * 160, 0), ("第" * 70, 8)])
async def test_a_reply_arrives_byte_for_byte_in_one_segment(text: str, coding: int) -> None:
    async with bound_pair() as (centre, desk):
        result = await desk.link.send(outgoing(text))
        sent = await centre.see("submit")
        assert (sent["text"], sent["coding"], sent["udh"], sent["payload"]) == (text, coding, [], False)
        assert (sent["from"], sent["from_ton"], sent["to"], sent["to_ton"], sent["to_npi"]) == (
            "95001",
            0,
            "8613800000001",
            1,
            1,
        )
        assert sent["receipt"] == 1
        assert result == Accepted(provider_id=sent["id"])


async def test_a_long_reply_goes_in_numbered_parts() -> None:
    async with bound_pair() as (centre, desk):
        text = "第一部分" * 30
        result = await desk.link.send(outgoing(text))
        first, second = await centre.see("submit"), await centre.see("submit")
        assert first["text"] + second["text"] == text
        assert [part["udh"][0][-4:] for part in (first, second)] == ["0201", "0202"]
        assert [part["receipt"] for part in (first, second)] == [0, 1]
        assert result == Accepted(provider_id=second["id"])


async def test_receipts_come_as_reports() -> None:
    async with bound_pair() as (centre, desk):
        body = (
            "id:m_1 sub:001 dlvrd:001 submit date:2611210500 done date:2611210501 stat:{} err:0A1 text:stat:X"
        )
        await centre.order("deliver", name="1", message=body.format("DELIVRD"), esm_class=4, data_coding=0)
        await centre.see("answered", name="1", status=0)
        await centre.order(
            "deliver", name="2", octets="", esm_class=4, receipted_message_id="m2", message_state=5
        )
        await centre.see("answered", name="2", status=0)
        assert desk.brought == [
            DeliveryReport(sender="smpp", provider_id="m_1", state=Delivery.DELIVERED),
            DeliveryReport(sender="smpp", provider_id="m2", state=Delivery.FAILED),
        ]


async def test_a_receipt_that_outruns_its_response_waits_for_it() -> None:
    async with bound_pair() as (centre, desk):
        submitting = desk.link._submitting
        assert submitting.settling_s("m1") == 0
        await centre.order("answer", next=["late"])
        sending = asyncio.create_task(desk.link.send(outgoing("one")))
        sent = await centre.see("submit")
        assert submitting.settling_s("m1") == QUICK.hold_s
        receipt = {"octets": "", "esm_class": 4, "receipted_message_id": sent["id"], "message_state": 2}
        await centre.order("deliver", name="r", **receipt)
        await centre.order("answer_late")
        assert await sending == Accepted(provider_id=sent["id"])
        await centre.see("answered", name="r", status=0)
        assert len(desk.brought) == 1


async def test_a_throttled_reply_is_put_off_and_nothing_is_sent_in_growing_pauses() -> None:
    centre, clock = await NodeCentre.start(), FakeClock()
    try:
        dialect = SmppDialect(options(centre.port), clock=clock, pace=replace(QUICK, first_pause_s=1.0))
        async with listening(dialect) as desk:
            await centre.see("bound")
            await centre.order("answer", next=[0x58, 0x14])  # ESME_RTHROTTLED, ESME_RMSGQFUL
            assert await desk.link.send(outgoing("one")) == Deferred(why="throttled", after_s=1.0)
            assert await desk.link.send(outgoing("two")) == Deferred(why="throttled", after_s=1.0)
            clock.advance(1.0)
            assert await desk.link.send(outgoing("three")) == Deferred(why="throttled", after_s=2.0)
            clock.advance(1.5)
            assert await desk.link.send(outgoing("four")) == Deferred(why="throttled", after_s=0.5)
            clock.advance(0.5)
            assert await desk.link.send(outgoing("five")) == Accepted(provider_id="m3")
            assert [(await centre.see("submit"))["text"] for _ in range(3)] == ["one", "three", "five"]
    finally:
        await centre.stop()


async def test_what_the_centre_answers_is_what_becomes_of_the_reply() -> None:
    async with bound_pair(replace(QUICK, response_s=2.0)) as (centre, desk):
        await centre.order("answer", next=[0x0B, 0x64, "late", "drop"])
        assert await desk.link.send(outgoing("a")) == Rejected(why="refused_0x0B")
        assert isinstance(await desk.link.send(outgoing("b")), Deferred)
        doubtful = outgoing("c", reply_id=7)
        assert await desk.link.send(doubtful) == Unknown(why="no_response")
        assert await find(desk, doubtful) == Unknown(why="no_way_to_ask")
        await centre.order("answer_late")
        await centre.order("enquire")
        await centre.see("alive")  # so the late answer, before it on the connection, was read
        late = await centre.see("submit", text="c")
        assert await find(desk, doubtful) == Accepted(provider_id=late["id"])
        assert await desk.link.send(outgoing("d")) == Unknown(why="connection_lost")


async def find(desk: Desk, text: OutgoingText) -> object:
    async def nobody(_: Collection[str]) -> frozenset[str]:
        return frozenset()

    return await desk.link.find_sent(text, since=SystemClock().now(), known_ids=nobody)


async def test_what_was_not_recorded_is_asked_for_again_and_then_answered_once() -> None:
    async with bound_pair(reply=lambda _: ANSWER) as (centre, desk):
        desk.statuses = [400, 503]
        await centre.order("deliver", name="0", message="x", data_coding=0)
        await centre.see("answered", name="0", status=0x66)  # ESME_RX_R_APPN: never again
        await centre.order("deliver", name="1", message=CHINESE, data_coding=8)
        await centre.see("answered", name="1", status=0x64)  # ESME_RX_T_APPN
        assert desk.texts == []
        await centre.order("deliver", name="2", message=CHINESE, data_coding=8)
        await centre.see("answered", name="2", status=0)
        assert (await centre.see("submit"))["text"] == ANSWER
        _, first, second = desk.requests
        assert first.headers["message-id"] == second.headers["message-id"]


async def test_an_acknowledgement_that_was_lost_is_no_second_query_but_asking_again_is() -> None:
    async with bound_pair() as (centre, desk):
        held = asyncio.Event()

        async def gate() -> None:
            await held.wait()

        desk.gate = gate
        await centre.order("deliver", name="1", message=CHINESE, data_coding=8)
        await centre.order("enquire")
        await centre.see("alive")  # the link goes on reading while a text is under way
        assert not centre.has_seen("answered")  # and says nothing of it before it is recorded
        await centre.order("drop")
        await centre.see("bound")
        held.set()
        await desk.until(lambda desk: len(desk.texts) == 1)
        await centre.order("deliver", name="2", message=CHINESE, data_coding=8)
        await centre.see("answered", name="2", status=0)
        assert desk.texts[0].message_id == desk.texts[1].message_id
        await centre.see_acknowledgements_settled()
        await centre.order("deliver", name="3", message=CHINESE, data_coding=8)
        await centre.see("answered", name="3", status=0)
        assert desk.texts[2].message_id != desk.texts[1].message_id


async def test_a_burst_is_answered_message_by_message() -> None:
    async with bound_pair(reply=lambda item: f"{ANSWER}{item.text[-3:]}") as (centre, desk):
        texts = [
            {"name": str(n), "source_addr": f"86138{n:08d}", "message": f"查询{n:020d}", "data_coding": 8}
            for n in range(500)
        ]
        await centre.order("many", texts=texts)
        answered = {(await centre.see("answered", status=0))["name"] for _ in texts}
        replies = {(await centre.see("submit"))["text"] for _ in texts}
        assert len(answered) == len(desk.texts) == len(texts)
        assert replies == {f"{ANSWER}{n:03d}" for n in range(500)}


async def test_leaving_finishes_what_is_under_way() -> None:
    centre = await NodeCentre.start()
    try:
        held, entered = asyncio.Event(), asyncio.Event()

        async def gate() -> None:
            entered.set()
            await held.wait()

        async with listening(make_dialect(centre.port)) as desk:
            await centre.see("bound")
            desk.gate = gate
            await centre.order("deliver", name="1", message=CHINESE, data_coding=8)
            await entered.wait()
            asyncio.get_running_loop().call_later(0.05, held.set)
        await centre.see("answered", name="1", status=0)
        await centre.see("unbound")
        assert [text.text for text in desk.texts] == [CHINESE]
    finally:
        await centre.stop()


async def started_server() -> tuple[smpp34.Server, int]:
    """Return a server and its port, which it must be told: another may take a free one before it does."""
    for _ in range(20):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = smpp34.Server(host="127.0.0.1", port=port, system_id="CENTRE")
        try:
            await server.start()
        except Exception as error:  # noqa: BLE001 - of the library's own kind
            taken = error
        else:
            return server, port
    raise AssertionError(taken)


@asynccontextmanager
async def rust_centre() -> AsyncIterator[tuple[smpp34.Server, smpp34.Esme, Desk]]:
    server, port = await started_server()
    try:
        dialect: SmppDialect = make_dialect(port)
        async with listening(dialect, lambda item: f"{ANSWER}{len(item.text)}") as desk:
            async with asyncio.timeout(DEADLINE_S):
                esme = await server.next()
            assert isinstance(esme, smpp34.Esme)
            yield server, esme, desk
    finally:
        await server.stop()


async def test_a_second_centre_delivers_and_gets_the_reply_byte_for_byte() -> None:
    async with rust_centre() as (server, esme, desk), asyncio.timeout(DEADLINE_S):
        response = await esme.deliver_sm(
            "95001",
            CHINESE.encode("utf-16-be"),
            source_addr="8613800000001",
            source_addr_ton=1,
            data_coding=8,
        )
        assert response.command_status == smpp34.ESME_ROK
        sent = await server.next()
        assert isinstance(sent, smpp34.SubmitSmEvent)
        sent.accept("r1")
        assert sent.short_message == f"{ANSWER}{len(CHINESE)}".encode("utf-16-be")
        assert (sent.destination_addr, sent.dest_addr_ton, sent.data_coding) == ("8613800000001", 1, 8)
        desk.statuses = [503]
        refused = await esme.deliver_sm("95001", b"again", source_addr="10010")
        assert refused.command_status == 0x64


async def test_a_second_centre_sends_parts_and_throttles() -> None:
    async with rust_centre() as (server, esme, desk), asyncio.timeout(DEADLINE_S):
        parts = [
            esme.deliver_sm(
                "95001",
                PARTS[number].encode("utf-16-be"),
                source_addr="8613800000001",
                source_addr_ton=1,
                data_coding=8,
                tlvs=[
                    smpp34.Tlv(smpp34.TLV_SAR_MSG_REF_NUM, b"\x01\x02"),
                    smpp34.Tlv(smpp34.TLV_SAR_TOTAL_SEGMENTS, b"\x03"),
                    smpp34.Tlv(smpp34.TLV_SAR_SEGMENT_SEQNUM, bytes((number,))),
                ],
            )
            for number in (2, 3, 1)
        ]
        responses = await asyncio.gather(*parts)
        assert {response.command_status for response in responses} == {smpp34.ESME_ROK}
        assert [text.text for text in desk.texts] == ["".join(PARTS.values())]
        sent = await server.next()
        assert isinstance(sent, smpp34.SubmitSmEvent)
        sent.reject(smpp34.ESME_RMSGQFUL)
        async with asyncio.timeout(DEADLINE_S):
            while isinstance(late := await send_when_free(desk, server), Deferred):
                pass
        assert late == Accepted(provider_id="later")


async def send_when_free(desk: Desk, server: smpp34.Server) -> object:
    """Send; accept what the centre gets of it. In a pause nothing comes, and that is waited for."""
    sending = asyncio.create_task(desk.link.send(outgoing("again")))
    coming = asyncio.ensure_future(server.next())
    await asyncio.wait({sending, coming}, return_when=asyncio.FIRST_COMPLETED)
    if coming.done():
        event = coming.result()
        assert isinstance(event, smpp34.SubmitSmEvent)
        event.accept("later")
    else:
        coming.cancel()
    return await sending
