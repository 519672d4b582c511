"""Parts of texts that never become whole: neither a stranger nor a message centre can fill the memory with them."""

from __future__ import annotations

from dataclasses import replace

from channels.sms.smpp.parts import Assembly, Part, PartKey, read_part
from channels.sms.smpp.wire import Delivery
from tests.fakes.clock import FakeClock

_EMPTY = Delivery(
    source="8613800000001",
    source_ton=1,
    destination="95001",
    destination_ton=0,
    esm_class=0x40,
    data_coding=8,
    user_data=b"",
    tlvs={},
)


def part(source: int, reference: int, number: int = 1, total: int = 255) -> Part:
    key = PartKey(source=str(source), destination="95001", reference=f"udh8:{reference}/{total}")
    return Part(key=key, number=number, total=total, octets=b"x" * 134, delivery=_EMPTY)


def test_one_number_fills_its_own_room_and_nobody_elses() -> None:
    assembly = Assembly(FakeClock(), missing_s=90)
    taken = [assembly.add(part(1, reference)) for reference in range(256)]
    assert sum(joining is not None for joining in taken) == 20
    assert assembly.add(part(2, 1)) is not None
    assert assembly.add(part(1, 0, number=2)) is taken[0], "what has begun may go on"


def test_room_comes_back_when_a_text_is_carried_or_given_up() -> None:
    clock = FakeClock()
    assembly = Assembly(clock, missing_s=90)
    for reference in range(20):
        assembly.add(part(1, reference))
    clock.advance(91)
    overdue = assembly.take_overdue()
    assembly.close(overdue[0])
    assembly.give_up(overdue[1])
    assembly.give_up(overdue[1])
    taken = [assembly.add(part(1, reference)) for reference in range(100, 110)]
    assert sum(joining is not None for joining in taken) == 2


def test_all_parts_together_are_bounded() -> None:
    assembly = Assembly(FakeClock(), missing_s=90)
    taken = sum(
        assembly.add(part(source, 1, number)) is not None for source in range(90) for number in range(1, 255)
    )
    assert taken == 20_000


def test_a_part_that_no_air_carries_is_a_text_by_itself() -> None:
    header = b"\x05\x00\x03\x42\x02\x01"
    found, octets = read_part(replace(_EMPTY, user_data=header + b"x" * 60_000))
    assert found is None
    assert len(octets) == 60_000


def test_what_a_centre_attaches_is_not_kept_with_a_waiting_part() -> None:
    header = b"\x05\x00\x03\x42\x02\x01"
    found, _ = read_part(replace(_EMPTY, user_data=header + b"abc", tlvs={0x1400: b"x" * 60_000}))
    assert found is not None
    assert (found.delivery.tlvs, found.delivery.user_data) == ({}, b"")
