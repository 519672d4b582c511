"""Silence as clips: named by content, known everywhere, exactly as long as it says."""

from __future__ import annotations

import hashlib
import io
import wave

import pytest

from app.speech.silence import LONGEST_MS, STEP_MS, find_silence_ms, silence_sha, silence_sound


@pytest.mark.parametrize("length_ms", range(STEP_MS, LONGEST_MS + 1, 110))
def test_a_silent_clip_lasts_what_it_says_and_is_named_by_its_content(length_ms: int) -> None:
    sound = silence_sound(length_ms)
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert file.getnframes() * 1000 == length_ms * 8000
        assert not any(file.readframes(file.getnframes()))
    assert hashlib.sha256(sound).hexdigest().startswith(silence_sha(length_ms))
    assert find_silence_ms(silence_sha(length_ms)) == length_ms


@pytest.mark.parametrize(
    ("pause_ms", "length_ms"),
    [(-5, 10), (0, 10), (14, 10), (15, 20), (184, 180), (2004, 2000), (60_000, 2000)],
)
def test_a_pause_is_rounded_to_a_clip_there_is(pause_ms: int, length_ms: int) -> None:
    assert find_silence_ms(silence_sha(pause_ms)) == length_ms


def test_every_length_has_a_name_of_its_own_and_nothing_else_is_silence() -> None:
    names = {silence_sha(ms) for ms in range(STEP_MS, LONGEST_MS + 1, STEP_MS)}
    assert len(names) == LONGEST_MS // STEP_MS
    assert find_silence_ms("0" * 32) is None
