"""What stands on the connection: SMPP 3.4 units read to plain values, and those we send.

What goes out is made by aiosmpplib. What comes in is read here, because a message centre may send status codes, headers
and empty texts that the library turns into errors, and an error there ends the connection with the text unanswered.
"""

from __future__ import annotations

from asyncio import StreamReader
from collections.abc import Mapping
from dataclasses import field
from enum import IntEnum
from struct import Struct, error
from typing import Final

from aiosmpplib.protocol import BindTransceiver, SubmitSm
from aiosmpplib.state import NPI, TON, PhoneNumber

from app.core.errors import SettingsInvalid
from app.core.model.value import value
from channels.sms.settings import SmppOptions
from channels.sms.smpp.alphabets import Segment

_HEADER: Final = Struct("!IIII")
_TLV: Final = Struct("!HH")
_LARGEST: Final = 70_000  # message_payload holds up to 64 KiB (5.3.2.32)
_UDH_INDICATOR: Final = 0x40
_MESSAGE_PAYLOAD: Final = 0x0424

RECEIPTED_MESSAGE_ID: Final = 0x001E
USER_MESSAGE_REFERENCE: Final = 0x0204
MESSAGE_STATE: Final = 0x0427


class Command(IntEnum):
    """The command ids that are met here (SMPP 3.4, 5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK = 0x00000015
    ALERT_NOTIFICATION = 0x00000102
    OUTBIND = 0x0000000B


class NotSmpp(Exception):
    """What came cannot be a unit of SMPP 3.4; the connection is of no use any more."""


@value
class Pdu:
    """One unit as it came. Numbers stay numbers: a centre may use ids and status codes of its own."""

    command: int
    status: int
    sequence: int
    body: bytes

    @property
    def is_response(self) -> bool:
        """Whether this answers one of our requests."""
        return bool(self.command & 0x80000000)


@value
class Delivery:
    """A deliver_sm (4.6.1). ``user_data`` is the text's octets, with the user data header where ``has_udh``."""

    source: str
    source_ton: int
    destination: str
    destination_ton: int
    esm_class: int
    data_coding: int
    user_data: bytes = field(repr=False)
    tlvs: Mapping[int, bytes] = field(repr=False)

    @property
    def has_udh(self) -> bool:
        """Whether the octets begin with a user data header (5.2.12)."""
        return bool(self.esm_class & _UDH_INDICATOR)

    @property
    def message_type(self) -> int:
        """What is delivered: 0 a text, 0x04 a delivery receipt, others acknowledgements (5.2.12)."""
        return self.esm_class & 0x3C

    def find_string(self, tag: int) -> str:
        """Return an optional parameter as text, "" where it is missing."""
        return self.tlvs.get(tag, b"").split(b"\0")[0].decode("latin-1")


async def read_pdu(reader: StreamReader) -> Pdu:
    """Return the next unit. Raises ``NotSmpp`` for an impossible length, ``IncompleteReadError`` at the end."""
    length, command, status, sequence = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if not _HEADER.size <= length <= _LARGEST:
        raise NotSmpp
    body = await reader.readexactly(length - _HEADER.size)
    return Pdu(command=command, status=status, sequence=sequence, body=body)


def read_message_id(pdu: Pdu) -> str:
    """Return the message id of a submit_sm_resp (4.4.2), "" where the centre left it out."""
    return pdu.body.split(b"\0")[0].decode("latin-1")


def read_delivery(body: bytes) -> Delivery:
    """Read the body of a deliver_sm (4.6.1). Raises ``ValueError`` for one that ends too early."""
    try:
        return _delivery(body)
    except (error, IndexError, ValueError) as cut:
        raise ValueError("The deliver_sm ends too early.") from cut


def _delivery(body: bytes) -> Delivery:
    """Do as :func:`read_delivery`; raises ``IndexError``, ``ValueError`` or ``struct.error`` for what is cut off."""
    at = body.index(b"\0") + 1  # behind service_type
    source_ton = body[at]
    source, at = _string(body, at + 2)
    destination_ton = body[at]
    destination, at = _string(body, at + 2)
    esm_class = body[at]
    at = body.index(b"\0", at + 3) + 1  # behind protocol_id, priority_flag and schedule_delivery_time
    at = body.index(b"\0", at) + 1  # behind validity_period
    # registered_delivery and replace_if_present_flag; sm_default_msg_id stands before the length
    data_coding, length = body[at + 2], body[at + 4]
    at += 5
    if at + length > len(body):
        raise IndexError
    short_message = body[at : at + length]
    tlvs = _tlvs(body, at + length)
    return Delivery(
        source=source,
        source_ton=source_ton,
        destination=destination,
        destination_ton=destination_ton,
        esm_class=esm_class,
        data_coding=data_coding,
        user_data=short_message or tlvs.get(_MESSAGE_PAYLOAD, b""),
        tlvs=tlvs,
    )


def _string(body: bytes, at: int) -> tuple[str, int]:
    """Return the text at a place, and the place behind the zero that ends it."""
    end = body.index(b"\0", at)
    return body[at:end].decode("latin-1"), end + 1


def _tlvs(body: bytes, at: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(body) - at >= _TLV.size:  # some centres pad the end with a zero
        tag, length = _TLV.unpack_from(body, at)
        at += _TLV.size
        if at + length > len(body):
            raise IndexError
        found[tag] = body[at : at + length]
        at += length
    return found


def bind_request(options: SmppOptions) -> BindTransceiver:
    """Return the request that opens a session both ways (4.1.5). Raises ``SettingsInvalid`` for what cannot be sent."""
    limits = (("system_id", 15), ("password", 8), ("system_type", 12))
    wrong = [name for name, longest in limits if not _is_sendable(getattr(options, name), longest)]
    if wrong:
        raise SettingsInvalid(
            f"sms.smpp: {', '.join(wrong)}: SMPP 3.4 has room for plain ASCII only, 15 characters of system_id, "
            "8 of password, 12 of system_type. Ask the carrier for values that fit."
        )
    return BindTransceiver(
        system_id=options.system_id, password=options.password, system_type=options.system_type
    )


def _is_sendable(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isascii() and "\0" not in text


def submit_request(segment: Segment, *, source: str, destination: str, wants_receipt: bool) -> SubmitSm:
    """Return the request that sends one segment (4.4.1). Raises ``ValueError`` for a number SMPP cannot carry."""
    request = SubmitSm(
        short_message="-",  # the octets are ours, see below: the library would put a long text elsewhere
        source=_address(source),
        destination=_address(destination),
        esm_class=_UDH_INDICATOR if segment.has_udh else 0,
        registered_delivery=1 if wants_receipt else 0,
        encoding="ucs2" if segment.is_ucs2 else None,
        auto_message_payload=False,
    )
    request.set_encoded_message(segment.octets)
    return request


def _address(number: str) -> PhoneNumber:
    """International numbers go without their plus sign, short numbers as of unknown type (5.2.5, 5.2.6)."""
    if not number:
        return PhoneNumber("")  # the centre fills in what it knows (4.4.1)
    if not number.isascii() or "\0" in number:
        raise ValueError("An address is plain ASCII.")
    if number.startswith("+"):
        return PhoneNumber(number[1:], TON.INTERNATIONAL, NPI.ISDN)
    if number.isdigit():
        return PhoneNumber(number, TON.UNKNOWN, NPI.ISDN)
    return PhoneNumber(number, TON.ALPHANUMERIC, NPI.UNKNOWN)
