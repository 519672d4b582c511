"""Units of SMPP 3.4 as a message centre sends them: framing, deliveries, parts that are joined, receipts."""

from __future__ import annotations

import struct
from asyncio import IncompleteReadError, StreamReader
from collections.abc import Iterator
from typing import cast

from app.core.model.reply import Delivery as Delivered
from channels.sms.smpp.alphabets import decode_text
from channels.sms.smpp.parts import Joining, read_part
from channels.sms.smpp.receipts import read_receipt
from channels.sms.smpp.wire import RECEIPTED_MESSAGE_ID, NotSmpp, read_delivery, read_message_id, read_pdu
from tests.proof.fuzz.engine import Breach, Parser
from tests.proof.fuzz.parsers_text import own_codes

_UNIT = b"~~~~"  # between the units of one input


class Octets:
    """What was received, as the reader of a connection gives it out."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def readexactly(self, size: int) -> bytes:
        piece, self._data = self._data[:size], self._data[size:]
        if len(piece) < size:
            raise IncompleteReadError(piece, size)
        return piece


def _read_pdus(data: bytes) -> None:
    """Read every unit of a connection; what is delivered is read on, its parts are joined."""
    reader = cast(StreamReader, Octets(data))
    joined: dict[object, Joining] = {}
    while True:
        reading = read_pdu(reader)
        try:
            reading.send(None)
        except StopIteration as done:
            pdu = done.value
        except IncompleteReadError as end:
            if end.partial:
                raise
            return
        read_message_id(pdu)
        try:
            _read_on(pdu.body, joined)
        except ValueError:
            continue


def _read_on(body: bytes, joined: dict[object, Joining]) -> None:
    delivery = read_delivery(body)
    part, octets = read_part(delivery)
    text = decode_text(delivery.data_coding, octets) or ""
    told = read_receipt(text, message_id=delivery.find_string(RECEIPTED_MESSAGE_ID), state=None)
    if told is not None and not isinstance(told[1], Delivered):
        raise Breach("a receipt without a state")
    if part is not None:
        joining = joined.setdefault(part.key, Joining(part, began_s=0))
        joining.add(part)
        if len(joining) > part.total or not 1 <= part.number <= part.total:
            raise Breach("a part beyond the last")
        text = joining.text() or ""
    text.encode("utf-8", "replace")


def _read_deliveries(data: bytes) -> None:
    """Bodies of deliver_sm one after another, whatever length the unit around them had told."""
    joined: dict[object, Joining] = {}
    for body in data.split(_UNIT):
        _read_on(body, joined)


def deliver(
    text: bytes, *, coding: int = 0, esm: int = 0, tlvs: bytes = b"", source: bytes = b"8613912345678"
) -> bytes:
    """Return a deliver_sm (SMPP 3.4, 4.6.1)."""
    body = (
        b"\0\x01\x01"
        + source
        + b"\0\0\x01"
        + b"95001\0"
        + bytes((esm, 0, 0))
        + b"\0\0\0\0"
        + bytes((coding, 0))
    )
    body += bytes((len(text),)) + text + tlvs
    return struct.pack("!IIII", 16 + len(body), 5, 0, 7) + body


def _bodies(pdus: bytes) -> Iterator[bytes]:
    while pdus:
        size = int.from_bytes(pdus[:4], "big")
        yield pdus[16:size]
        pdus = pdus[size:]


def _tlv(tag: int, octets: bytes) -> bytes:
    return struct.pack("!HH", tag, len(octets)) + octets


def _pdus() -> tuple[bytes, ...]:
    code = own_codes()[0]
    receipt = (
        b"id:77 sub:001 dlvrd:001 submit date:2603050912 done date:2603050913 stat:DELIVRD err:000 text:hi"
    )
    ucs2 = f"验 {code}".encode("utf-16-be")
    sar = _tlv(0x20C, b"\0\x07") + _tlv(0x20E, b"\x02")
    return (
        deliver(code.encode()),
        deliver(ucs2, coding=8),
        deliver(b"\x05\0\x03\x09\x02\x01" + code[:12].encode(), esm=0x40)
        + deliver(b"\x05\0\x03\x09\x02\x02" + code[12:].encode(), esm=0x40),
        deliver(b"\x06\x08\x04\x01\x09\x02\x01" + ucs2[:11], esm=0x40, coding=8)
        + deliver(b"\x06\x08\x04\x01\x09\x02\x02" + ucs2[11:], esm=0x40, coding=8),
        deliver(code[:9].encode(), tlvs=sar + _tlv(0x20F, b"\x01"))
        + deliver(code[9:].encode(), tlvs=sar + _tlv(0x20F, b"\x02")),
        deliver(b"", tlvs=_tlv(0x424, code.encode()), coding=15),
        deliver(receipt, esm=4, tlvs=_tlv(0x1E, b"77\0") + _tlv(0x427, b"\x02")),
        struct.pack("!IIII", 19, 0x80000004, 0, 3) + b"77\0" + struct.pack("!IIII", 16, 0x15, 0, 8),
        struct.pack("!IIII", 16, 0x80000000, 3, 0),
    )


def smpp_parsers() -> tuple[Parser, ...]:
    """Return the parsers of this module."""
    smpp_words = (
        b"\x05\0\x03",
        b"\x06\x08\x04",
        b"\x04\x24",
        b"\0\0\0\x10",
        b"\x00\x1e",
        b"id:",
        b" stat:",
        b" text:",
        b"\x1b",
        b"\xd8\x3d",
        b"\xff\xff\xff\xff",
    )
    return (
        Parser(
            name="SMPP units",
            feed=_read_pdus,
            allowed=(NotSmpp, IncompleteReadError),
            seeds=_pdus(),
            weight=2,
            words=smpp_words,
        ),
        Parser(
            name="SMPP deliveries",
            feed=_read_deliveries,
            allowed=(ValueError,),
            seeds=tuple(_UNIT.join(_bodies(pdus)) for pdus in _pdus()[:7]),
            words=(*smpp_words, _UNIT),
        ),
    )
