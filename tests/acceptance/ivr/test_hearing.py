"""Clips are found where they are, and nowhere else: through mu-law, noise, gaps and other loudness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.acceptance.ivr.hearing import (
    HEARD,
    NOT_HEARD,
    best_match,
    correlate,
    find_clips,
    first_place,
    sounding_s,
)
from tests.acceptance.ivr.sound import (
    RATE,
    Samples,
    encode_clip,
    noise,
    pad_to_frames,
    read_clip,
    tone,
    write_clip,
)

FIRST, SECOND = noise(1, 1500), noise(2, 800)


def silence(ms: int) -> Samples:
    return np.zeros(RATE * ms // 1000, dtype=np.int16)


def through_the_telephone(samples: Samples, folder: Path) -> Samples:
    path = folder / "line.wav"
    soundfile.write(path, samples, RATE, subtype="ULAW")
    return read_clip(path)


def test_clips_are_found_in_order_and_at_their_time(tmp_path: Path) -> None:
    said = np.concatenate([silence(500), SECOND, silence(200), FIRST, silence(100), SECOND])
    found = find_clips(through_the_telephone(said, tmp_path), {"first": FIRST, "second": SECOND})
    assert [(match.name, match.at_s) for match in found] == [("second", 0.5), ("first", 1.5), ("second", 3.1)]
    assert all(match.score >= HEARD for match in found)


def test_the_first_place_is_found_however_late_it_comes(tmp_path: Path) -> None:
    said = through_the_telephone(
        np.concatenate([silence(9_500), FIRST, silence(21_000), SECOND, SECOND]), tmp_path
    )
    assert first_place(said, FIRST)[0] == 9_500 * RATE // 1000
    place, score = first_place(said, SECOND)
    assert (place, score >= HEARD) == (32_000 * RATE // 1000, True)
    assert first_place(said[: 20 * RATE], SECOND)[0] is None
    assert first_place(silence(100), FIRST) == (None, 0.0)


def test_a_clip_that_was_not_played_is_not_heard(tmp_path: Path) -> None:
    said = through_the_telephone(np.concatenate([silence(300), FIRST, silence(300)]), tmp_path)
    assert best_match(said, "second", SECOND).score <= NOT_HEARD
    assert find_clips(said, {"second": SECOND}) == ()


def test_half_a_clip_is_not_the_clip() -> None:
    said = np.concatenate([FIRST[: len(FIRST) // 2], silence(2000)])
    assert best_match(said, "first", FIRST).score < HEARD


def murmur(seed: int) -> Samples:
    """Return 300 ms in the timbre of one voice: noise through one narrow resonance at 500 Hz."""
    time = np.arange(800) / RATE
    sound = np.convolve(noise(seed, 300), np.exp(-60 * time) * np.sin(2 * np.pi * 500 * time))[
        : RATE * 3 // 10
    ]
    samples: Samples = (sound / np.abs(sound).max() * 8000).astype(np.int16)
    return samples


def test_words_of_one_timbre_are_told_apart(tmp_path: Path) -> None:
    said = through_the_telephone(np.concatenate([silence(300), murmur(1), silence(300)]), tmp_path)
    assert best_match(said, "first", murmur(1)).score >= HEARD
    assert all(best_match(said, "other", murmur(seed)).score <= NOT_HEARD for seed in range(2, 12))


def test_loudness_does_not_matter_and_silence_is_nothing() -> None:
    quiet = (FIRST // 8).astype(np.int16)
    assert best_match(quiet, "first", FIRST).score >= HEARD
    assert not correlate(silence(2000), FIRST).any()
    assert not len(correlate(silence(100), FIRST))
    assert best_match(silence(100), "first", FIRST).score == 0.0
    with pytest.raises(ValueError, match="silent"):
        correlate(FIRST, silence(100))


def test_the_sounding_time_leaves_out_silence() -> None:
    assert sounding_s(np.concatenate([silence(1000), FIRST, silence(700)])) == pytest.approx(1.5, abs=0.02)


def test_clips_of_every_kind_are_read_as_the_telephone_plays_them(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_clip(path, FIRST)
    assert np.array_equal(read_clip(path), FIRST)
    assert np.array_equal(read_clip(encode_clip(FIRST)), FIRST)
    soundfile.write(path, np.stack([tone(400, 1000)] * 2, axis=1), 2 * RATE)
    assert len(read_clip(path)) == RATE // 2
    raw = tmp_path / "clip.ulaw"
    soundfile.write(raw, FIRST, RATE, subtype="ULAW", format="RAW")
    assert best_match(read_clip(raw.read_bytes(), "audio/ulaw"), "first", FIRST).score >= HEARD
    with pytest.raises(ValueError, match="not a sound file"):
        read_clip(b"<html>")


def test_padding_fills_the_last_packet() -> None:
    assert len(pad_to_frames(FIRST[:161])) == 320
    assert len(pad_to_frames(FIRST[:160])) == 160
