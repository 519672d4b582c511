"""A recording whose header promises what the file does not hold is named as no telephone sound, not a crash."""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import pytest

from app.speech.sound import NotTelephoneSound, read_duration_ms, read_samples, wav

WHOLE = wav(array("h", [0, 500, -500] * 100))
_FORMAT_SIZE, _DATA_SIZE = 16, 40


def with_size(at: int, size: int) -> bytes:
    return WHOLE[:at] + struct.pack("<I", size) + WHOLE[at + 4 :]


@pytest.mark.parametrize(
    "data",
    [
        with_size(_FORMAT_SIZE, 0x7FFF),
        with_size(_FORMAT_SIZE, 0),
        with_size(_DATA_SIZE, 0x7FFFFFFE),
        WHOLE[:41],
        WHOLE[:-1],
        WHOLE[:30],
        b"RIFFd\x01\x00\x00WAVEfmt\x10\x00dat",
        b"",
    ],
)
def test_a_damaged_recording_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(data)
    with pytest.raises(NotTelephoneSound):
        read_samples(path)


def test_a_whole_recording_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(WHOLE)
    assert len(read_samples(path)) == 300
    assert read_duration_ms(path) == 37
