"""A deliver_sm is read field by field as SMPP 3.4, 4.6.1, writes it, and one that is cut off anywhere is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.smpp.wire import read_delivery

_OCTET = st.integers(0, 255)
_TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=6)
_PAYLOAD = 0x0424


@given(
    strings=st.tuples(_TEXT, _TEXT, _TEXT, _TEXT, _TEXT),
    octets=st.lists(_OCTET, min_size=11, max_size=11),
    said=st.binary(max_size=20),
    tlvs=st.dictionaries(
        st.one_of(st.just(_PAYLOAD), st.integers(0, 0xFFFF)), st.binary(max_size=5), max_size=3
    ),
    padding=st.sampled_from([b"", b"\0", b"\0\0\0"]),
)
def test_every_field_is_read_and_every_cut_refused(
    strings: tuple[str, ...], octets: list[int], said: bytes, tlvs: dict[int, bytes], padding: bytes
) -> None:
    service, source, destination, schedule, validity = (text.encode("latin-1") + b"\0" for text in strings)
    fixed = b"".join(
        (
            service,
            bytes(octets[0:2]) + source,
            bytes(octets[2:4]) + destination,
            bytes(octets[4:7]) + schedule + validity,
            bytes((*octets[7:11], len(said))) + said,
        )
    )
    optional = b"".join(struct.pack("!HH", tag, len(value)) + value for tag, value in tlvs.items())
    read = read_delivery(fixed + optional + padding)
    assert (read.source, read.destination) == strings[1:3]
    assert (read.source_ton, read.destination_ton, read.esm_class, read.data_coding) == (
        octets[0],
        octets[2],
        octets[4],
        octets[9],
    )
    assert read.tlvs == tlvs
    assert read.user_data == (said or tlvs.get(_PAYLOAD, b""))
    for cut in range(len(fixed)):
        with pytest.raises(ValueError, match="ends too early"):
            read_delivery(fixed[:cut])
