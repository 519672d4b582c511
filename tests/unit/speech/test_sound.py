"""Sound files are read strictly, and mu-law agrees with a codec that is not ours."""

import io
import math
from array import array
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.speech.sound import NotTelephoneSound, measure, mu_law, read_duration_ms, read_samples, write_wav
from tests.fakes.fake_synthesiser import hum


def test_every_sample_becomes_the_byte_of_g711() -> None:
    every = array("h", range(-32_768, 32_768))
    theirs = io.BytesIO()
    soundfile.write(theirs, np.array(every, dtype="int16"), 8000, subtype="ULAW", format="RAW")
    assert mu_law(every) == theirs.getvalue()


@pytest.mark.parametrize(
    ("sample", "byte"), [(0, 0xFF), (-1, 0x7F), (32_767, 0x80), (-32_768, 0x00), (1000, 0xCE)]
)
def test_known_samples(sample: int, byte: int) -> None:
    assert mu_law(array("h", [sample])) == bytes([byte])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", hum(250))
    assert read_duration_ms(tmp_path / "a.wav") == 250
    assert read_samples(tmp_path / "a.wav") == hum(250)


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(16_000, 1, "PCM_16"), (8000, 2, "PCM_16"), (8000, 1, "PCM_24")]
)
def test_another_shape_is_refused(tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((100, channels)), rate, subtype=subtype)
    with pytest.raises(NotTelephoneSound, match="instead of 8000"):
        read_duration_ms(tmp_path / "a.wav")


@pytest.mark.parametrize("data", [b"", b"RIFF", b"hello" * 20])
def test_what_is_no_sound_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(NotTelephoneSound):
        read_duration_ms(tmp_path / "a.wav")


def test_a_level_is_that_of_the_samples() -> None:
    level = measure(hum(1000, 16_384))
    assert level.peak_dbfs == pytest.approx(-6.0, abs=0.1)
    assert level.rms_dbfs == pytest.approx(-9.0, abs=0.1)
    assert not level.clipped
    assert measure(array("h", [0] * 100)).peak_dbfs == -math.inf
    assert measure(array("h")).peak_dbfs == -math.inf
