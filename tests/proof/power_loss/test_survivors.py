"""The device itself: what was synced stays, what was not may go in every way, and nothing that never was appears."""

from __future__ import annotations

from random import Random

from tests.proof.files.vfs import Dropped, Named, Synced, Truncated, Wrote
from tests.proof.power_loss.survivors import Device, Image

TURNS = 300


def outcomes(device: Device) -> list[Image]:
    return [device.survivors(Random(turn)) for turn in range(TURNS)]


def test_what_was_synced_stays() -> None:
    device = Device({"a": b"old old"}, {"a": 1})
    for operation in (Wrote(1, 0, b"new"), Truncated(1, 5), Synced(1, folder=False)):
        device.carry_out(operation)
    assert all(image == {"a": b"new o"} for image in outcomes(device))


def test_unsynced_writes_survive_whole_torn_in_part_or_not_at_all() -> None:
    device = Device({"a": b""}, {"a": 1})
    device.carry_out(Wrote(1, 500, b"1" * 1036))  # ends at a sector
    device.carry_out(Wrote(1, 1536, b"2" * 512))
    one, other = bytes(500) + b"1" * 1036, b"2" * 512
    found = {image["a"] for image in outcomes(device)}
    assert {b"", one, one + other, bytes(1536) + other, one[:1024], one[:512]} <= found
    assert all(len(data) in {0, 512, 1024, 1536, 2048} for data in found)


def test_what_a_failed_sync_dropped_is_in_doubt_under_what_was_synced_later() -> None:
    device = Device({"a": b"...."}, {"a": 1})
    for operation in (
        Wrote(1, 0, b"ab"),
        Dropped(1),
        Wrote(1, 1, b"c"),
        Synced(1, folder=False),
        Wrote(1, 3, b"d"),
    ):
        device.carry_out(operation)
    assert {image["a"] for image in outcomes(device)} == {b".c..", b"ac..", b".c.d", b"ac.d"}


def test_a_file_may_fail_to_be_synced_and_the_folder_alone_be_synced() -> None:
    device = Device({"a": b"old"}, {"a": 1})
    device.carry_out(Named("b", 2))
    device.carry_out(Synced(None, folder=True))
    assert all(image == {"a": b"old", "b": b""} for image in outcomes(device))


def test_truncations_may_be_lost() -> None:
    device = Device({"a": b"12345"}, {"a": 1})
    device.carry_out(Truncated(1, 2))
    assert {image["a"] for image in outcomes(device)} == {b"12345", b"12"}


def test_names_survive_in_their_order_and_for_good_with_the_folder() -> None:
    device = Device({"a": b"old"}, {"a": 1})
    device.carry_out(Named("a", None))
    device.carry_out(Named("b", 2))
    device.carry_out(Named("a", 3))
    assert {tuple(image) for image in outcomes(device)} == {("a",), (), ("b",), ("a", "b")}
    assert {image["a"] for image in outcomes(device) if "b" not in image and "a" in image} == {b"old"}
    device.carry_out(Synced(3, folder=True))
    assert all(image == {"a": b"", "b": b""} for image in outcomes(device))
