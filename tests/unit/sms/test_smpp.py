"""The pure parts of SMPP: octets to texts and back, parts, receipts, and which message a delivery is."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiosmpplib.protocol import DeliverSm
from aiosmpplib.state import TON, OptionalParam, PhoneNumber
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import NotAuthentic, SettingsInvalid, Undecodable
from app.core.model.reply import Delivery as State
from channels.base import InboundRequest, Refusal, RefusalKind
from channels.sms.dialect import IncomingText
from channels.sms.settings import SmppOptions
from channels.sms.smpp.alphabets import cut_text, decode_text
from channels.sms.smpp.arrivals import Arrivals, message_ids
from channels.sms.smpp.dialect import SmppDialect
from channels.sms.smpp.parts import Assembly, Part, read_part
from channels.sms.smpp.receipts import read_receipt
from channels.sms.smpp.session import Pace, Session
from channels.sms.smpp.wire import Delivery, Pdu, bind_request, read_delivery, submit_request
from channels.turns import DeliveryReport, Ignored
from channels.wording.segments import find_gsm7_length
from tests.fakes.clock import FakeClock

NOW = datetime(2026, 3, 5, 1, 12, tzinfo=UTC)
OPTIONS = SmppOptions(host="smsc.example", port=2775, system_id="yanzhen", password="secret")
GSM7 = st.text("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !#09azAZÄÖÑÜ§¿äöñüà^{}\\[~]|€", min_size=1, max_size=700)


def request(kind: str = "text", *, body: str = "12345", **headers: str) -> InboundRequest:
    told = {"kind": kind, "from": "+8613800000001", "to": "95001", "message-id": "d-1", "link": "token"}
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return InboundRequest(
        method="DELIVER", route="smpp", path="smpp", headers=told | named, body=body.encode(), received_at=NOW
    )


def make_dialect(*addresses: str) -> SmppDialect:
    return SmppDialect(replace(OPTIONS, addresses=addresses), clock=FakeClock(), token="token")


def delivery(octets: bytes, *, esm_class: int = 0, data_coding: int = 0, **tlvs: bytes) -> Delivery:
    tags = {"ref": 0x020C, "total": 0x020E, "number": 0x020F}
    return Delivery(
        source="8613800000001",
        source_ton=1,
        destination="95001",
        destination_ton=0,
        esm_class=esm_class,
        data_coding=data_coding,
        user_data=octets,
        tlvs={tags[name]: octets for name, octets in tlvs.items()},
    )


# ------------------------------------------------------------------ dialect


@pytest.mark.parametrize("shown", ["", "tokem", "token ", "令"])
def test_only_the_links_own_requests_are_authentic(shown: str) -> None:
    dialect = make_dialect()
    dialect.authenticate(request())
    with pytest.raises(NotAuthentic):
        dialect.authenticate(request(link=shown))
    with pytest.raises(NotAuthentic):
        SmppDialect(OPTIONS, clock=FakeClock()).authenticate(request())  # its token is its own


def test_it_has_no_address_and_pushes_every_reply() -> None:
    dialect = make_dialect()
    assert dialect.routes() == ()
    assert (dialect.in_band, dialect.reply_by) == (False, "smpp")
    assert [sender.name for sender in dialect.senders()] == ["smpp"]
    assert dialect.say(request(), "text").body == b""
    statuses = [dialect.refuse(Refusal(kind=kind)).status for kind in RefusalKind]
    assert statuses == [403, 400, 413, 503, 503, 503, 503]


def test_a_text_is_told_as_it_came() -> None:
    (item,) = make_dialect().decode(request(body="查询12345", alias_id="d-2"))
    assert item == IncomingText(
        sender="+8613800000001", ours="95001", text="查询12345", message_id="d-1", alias_id="d-2"
    )
    (picture,) = make_dialect().decode(request("media", body=""))
    assert isinstance(picture, IncomingText)
    assert picture.media


def test_texts_to_other_numbers_are_left_alone_and_broken_requests_refused() -> None:
    assert make_dialect("+8695001").decode(request(to="95001")) == (Ignored(why="not_our_number"),)
    assert isinstance(make_dialect("+95001", "").decode(request(to="95001"))[0], IncomingText)
    broken = request("other")
    with pytest.raises(Undecodable):
        make_dialect().decode(broken)


@pytest.mark.parametrize(
    ("text", "message_id", "state", "expected"),
    [
        ("id:ab-1 sub:001 stat:DELIVRD err:000 text:hi", "", None, ("ab-1", State.DELIVERED)),
        ("id:7 stat:UNDELIV err:0A1 Text:stat:DELIVRD", "", None, ("7", State.FAILED)),
        ("ID:7 STAT:EXPIRED", "", None, ("7", State.FAILED)),
        ("id:7 stat:ENROUTE", "", None, ("7", State.SENT)),
        ("id:7 stat:UNDELIV", "8", 2, ("8", State.DELIVERED)),
        ("", "8", 8, ("8", State.FAILED)),
        ("id:7 stat:UNKNOWN", "", 7, None),
        ("stat:DELIVRD text:id:9", "", None, None),
        ("", "", None, None),
    ],
)
def test_receipts_of_every_form(
    text: str, message_id: str, state: int | None, expected: tuple[str, State] | None
) -> None:
    assert read_receipt(text, message_id=message_id, state=state) == expected


def test_a_receipt_is_a_report_and_one_that_says_nothing_is_not() -> None:
    dialect = make_dialect()
    (report,) = dialect.decode(request("report", body="id:7 stat:DELIVRD", message_id=""))
    assert report == DeliveryReport(sender="smpp", provider_id="7", state=State.DELIVERED)
    assert dialect.decode(request("report", body="", message_id="")) == (Ignored(why="receipt_says_nothing"),)


@pytest.mark.parametrize("wrong", [{"password": "ninechars"}, {"system_id": "x" * 16}, {"system_type": "类"}])
def test_settings_that_have_no_room_are_refused_without_telling_them(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        bind_request(replace(OPTIONS, **wrong))
    assert next(iter(wrong)) in str(refused.value)
    assert not any(secret in str(refused.value) for secret in wrong.values())


# ------------------------------------------------------------------ alphabets


@given(GSM7)
def test_gsm7_texts_survive_being_cut_and_joined(text: str) -> None:
    segments = cut_text(text, reference=300)
    assert not any(segment.is_ucs2 for segment in segments)
    assert all(len(segment.octets) <= 160 for segment in segments)
    assert (len(segments) == 1) == ((find_gsm7_length(text) or 0) <= 160)
    headers = 6 if len(segments) > 1 else 0
    assert "".join(decode_text(0, segment.octets[headers:]) or "" for segment in segments) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_every_text_survives_being_cut_and_joined(text: str) -> None:
    text += "验"
    segments = cut_text(text, reference=1)
    assert all(segment.is_ucs2 and len(segment.octets) <= 140 for segment in segments)
    headers = 6 if len(segments) > 1 else 0
    assert "".join(decode_text(8, segment.octets[headers:]) or "" for segment in segments) == text


def test_texts_that_cannot_be_sent() -> None:
    for text in ("", "长" * 67 * 256):
        with pytest.raises(ValueError):
            cut_text(text, reference=0)
    (segment,) = cut_text("x", reference=0)
    for number in ("+861380000000123456789", "号码", "1\0"):
        with pytest.raises(ValueError):
            submit_request(segment, source="95001", destination=number, wants_receipt=True)


@given(st.integers(0, 255), st.binary(max_size=140))
def test_no_octets_break_the_reading(data_coding: int, octets: bytes) -> None:
    text = decode_text(data_coding, octets)
    assert text is None or text.encode("utf-8", "replace") is not None


@pytest.mark.parametrize(
    ("data_coding", "octets", "text"),
    [
        (0, b"\x00\x1b\x65\x11", "@€_"),
        (0, b"caf\xe9", "café"),  # a centre whose own alphabet is Latin-1
        (0x10, b"\x1b\x3c1\x1b\x3e", "[1]"),  # class 0, as flash messages come
        (0xF1, b"\x02", "$"),
        (0x18, "真".encode("utf-16-be"), "真"),
        (15, "真伪".encode("gb18030"), "真伪"),
        (8, "真".encode("utf-16-be") + b"\x00", "真\ufffd"),
        (4, b"\x01", None),
        (0xF5, b"\x01", None),
    ],
)
def test_alphabets_by_their_number(data_coding: int, octets: bytes, text: str | None) -> None:
    assert decode_text(data_coding, octets) == text


# ------------------------------------------------------------------ wire


def test_a_delivery_made_by_the_library_is_read() -> None:
    made = DeliverSm(
        short_message="查12",
        source=PhoneNumber("8613800000001", TON.INTERNATIONAL),
        destination=PhoneNumber("95001"),
        encoding="ucs2",
        optional_params=[OptionalParam(0x0204, 9)],
    )
    read = read_delivery(made.pdu()[16:])
    assert (read.source, read.source_ton, read.destination) == ("8613800000001", 1, "95001")
    assert decode_text(read.data_coding, read.user_data) == "查12"
    assert read.tlvs[0x0204] == b"\x00\x09"


def test_a_delivery_cut_anywhere_is_refused_or_read_but_breaks_nothing() -> None:
    body = DeliverSm(short_message="12345", optional_params=[OptionalParam(0x0204, 9)]).pdu()[16:]
    for length in range(len(body)):
        try:
            read_delivery(body[:length])
        except ValueError:
            continue
        assert length >= len(body) - 6  # the optional parameter alone may be missing


# ------------------------------------------------------------------ parts


def part(number: int, octets: bytes, *, total: int = 2, reference: int = 5) -> Part:
    header = bytes((5, 0, 3, reference, total, number))
    found, text = read_part(delivery(header + octets, esm_class=0x40))
    assert found is not None
    assert text == octets
    return found


@pytest.mark.parametrize(
    ("header", "reference"),
    [
        (b"\x05\x00\x03\x42\x02\x01", "udh8:66/2"),
        (b"\x06\x08\x04\x01\x42\x02\x01", "udh16:322/2"),
        (b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x42\x02\x01", "udh8:66/2"),  # ports before it
    ],
)
def test_parts_are_known_by_their_header(header: bytes, reference: str) -> None:
    found, octets = read_part(delivery(header + b"abc", esm_class=0x40))
    assert found is not None
    assert (found.key.reference, found.number, found.total, octets) == (reference, 1, 2, b"abc")


@pytest.mark.parametrize(
    "octets", [b"", b"\xff123", b"\x05\x00\x03\x42\x01\x01x", b"\x05\x00\x03\x42\x02\x03x", b"\x02\x24\x00x"]
)
def test_headers_that_number_nothing_make_a_whole_text(octets: bytes) -> None:
    assert read_part(delivery(octets, esm_class=0x40))[0] is None


def test_parts_by_parameters() -> None:
    found, _ = read_part(delivery(b"abc", ref=b"\x01\x02", total=b"\x02", number=b"\x02"))
    assert found is not None
    assert (found.key.reference, found.number) == ("sar:258/2", 2)
    assert read_part(delivery(b"abc", ref=b"\x01\x02", total=b"", number=b"\x02"))[0] is None


def test_more_than_nine_parts_and_a_character_cut_in_two() -> None:
    text = "一二三四五六七八九十😀十"
    octets = text.encode("utf-16-be")
    pieces = [octets[at : at + 2] for at in range(0, len(octets), 2)]
    assembly = Assembly(FakeClock(), missing_s=90)
    for number, piece in reversed(list(enumerate(pieces, start=1))):
        raw = bytes((5, 0, 3, 1, len(pieces), number)) + piece
        found, _ = read_part(delivery(raw, esm_class=0x40, data_coding=8))
        assert found is not None
        joining = assembly.add(found)
        assert joining is not None
        assert joining.is_whole == (number == 1)
        if joining.is_whole:
            assert joining.text() == text


def test_what_is_missing_leaves_a_gap_and_an_echo_of_a_carried_text_is_dropped() -> None:
    clock = FakeClock()
    assembly = Assembly(clock, missing_s=90)
    assembly.add(part(1, b"12", total=4))
    assembly.add(part(3, b"34", total=4))
    assert assembly.take_overdue() == []
    clock.advance(91)
    (joining,) = assembly.take_overdue()
    assert joining.text() == "12 … 34 … "
    assembly.close(joining)
    assembly.add(part(3, b"34", total=4))
    clock.advance(91)
    assert assembly.take_overdue() == []
    assembly.add(part(3, b"other", total=4))
    clock.advance(91)
    assert [found.text() for found in assembly.take_overdue()] == [" … other … "]


# ------------------------------------------------------------------ arrivals


def test_the_same_text_is_one_message_until_the_centre_has_the_acknowledgement() -> None:
    clock = FakeClock()
    arrivals = Arrivals(clock)
    first = arrivals.meet("content")
    clock.advance(3600)
    assert arrivals.meet("content") == first  # brought again after an hour without an acknowledgement
    arrivals.acknowledge("content", took_s=0.1)
    assert arrivals.meet("content") == first
    arrivals.settle("content")
    second = arrivals.meet("content")
    assert second.again == 1
    assert set(message_ids("content", first)).isdisjoint(message_ids("content", second))
    assert arrivals.meet("other").again == 0


def test_an_acknowledgement_that_took_long_settles_nothing() -> None:
    clock = FakeClock()
    arrivals = Arrivals(clock)
    first = arrivals.meet("content")
    arrivals.acknowledge("content", took_s=9.0)
    arrivals.settle("content")
    assert arrivals.meet("content") == first
    clock.advance(7 * 3600)
    assert arrivals.meet("content") != first


@given(st.integers(0, 10**6), st.integers(0, 2000))
def test_after_a_restart_an_equal_text_is_the_same_message_for_five_minutes(start: int, later: int) -> None:
    moment = NOW + timedelta(seconds=start)
    ids = []
    for seconds in (0, later):
        arrivals = Arrivals(FakeClock(moment + timedelta(seconds=seconds)))
        ids.append(set(message_ids("content", arrivals.meet("content"))))
    if later <= 300:
        assert ids[0] & ids[1]
    if later > 600:
        assert not ids[0] & ids[1]


# ------------------------------------------------------------------ session

UNIT = st.tuples(
    st.sampled_from(
        [1, 3, 4, 5, 6, 9, 0x0B, 0x15, 0x102, 0x103, 0x80000000, 0x80000004, 0x80000015, 0xFFFFFFFF]
    ),
    st.sampled_from([0, 0x58, 0x400, 0xFFFFFFFF]),
    st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]),
    st.binary(max_size=60),
)


async def serve(octets: bytes) -> list[Pdu]:
    """Return the deliveries of a session that gets ``octets`` and then the end."""
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    deliveries: list[Pdu] = []
    session = Session(
        reader,
        writer,
        pace=Pace(),
        clock=FakeClock(),
        on_delivery=lambda _, pdu: deliveries.append(pdu),
        on_settled=lambda _: None,
    )
    far.sendall(octets)
    far.shutdown(socket.SHUT_WR)
    async with asyncio.timeout(10):
        await session.serve()
        await writer.wait_closed()
    far.close()
    return deliveries


@given(st.lists(UNIT, max_size=6), st.binary(max_size=20))
@settings(max_examples=60)
def test_a_session_ends_in_order_whatever_comes(
    units: list[tuple[int, int, int, bytes]], rest: bytes
) -> None:
    octets = b"".join(
        struct.pack("!IIII", 16 + len(body), command, status, sequence) + body
        for command, status, sequence, body in units
    )
    deliveries = asyncio.run(serve(octets + rest))
    before_goodbye = [unit for unit in units if unit[0] == 5]
    if all(unit[0] != 6 for unit in units):
        assert len(deliveries) >= len(before_goodbye)
