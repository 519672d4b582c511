"""Telephone sound: 16-bit mono samples at 8 kHz, read from and written to files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE: Final = 8000
FRAME: Final = 160  # samples of 20 ms, one packet
Samples = NDArray[np.int16]


def read_clip(content: bytes | Path, media_type: str = "audio/wav") -> Samples:
    """Return a clip as a telephone plays it: mixed to one channel and resampled to 8 kHz.

    ``audio/ulaw`` is 8 kHz mu-law without a header (ITU-T G.711). Raises ValueError for what is no sound.
    """
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    try:
        if media_type == "audio/ulaw":
            sound, rate = soundfile.read(source, format="RAW", subtype="ULAW", samplerate=RATE, channels=1)
        else:
            sound, rate = soundfile.read(source)
    except soundfile.SoundFileError as error:
        raise ValueError(f"not a sound file: {error}") from error
    if sound.ndim == 2:
        sound = sound.mean(axis=1)
    if rate != RATE:
        sound = soxr.resample(sound, rate, RATE)
    samples: Samples = np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16)
    return samples


def write_clip(path: Path, samples: Samples) -> None:
    """Write samples as a PCM WAV file."""
    soundfile.write(path, samples, RATE, subtype="PCM_16")


def encode_clip(samples: Samples) -> bytes:
    """Return samples as the bytes of a PCM WAV file."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, subtype="PCM_16", format="WAV")
    return file.getvalue()


def tone(hertz: float, ms: int, level: float = 0.1) -> Samples:
    """Return a sine of that frequency; ``level`` is its amplitude against full scale."""
    time = np.arange(RATE * ms // 1000) / RATE
    return np.rint(np.sin(2 * np.pi * hertz * time) * level * 32767).astype(np.int16)


def noise(seed: int, ms: int, level: float = 0.1) -> Samples:
    """Return white noise that is the same for the same seed; ``level`` is its deviation against full scale."""
    samples = np.random.default_rng(seed).normal(0.0, level * 32767, RATE * ms // 1000)
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def pad_to_frames(samples: Samples) -> Samples:
    """Return samples with silence up to whole packets, so that the stack never pads in the middle of one."""
    return np.pad(samples, (0, -len(samples) % FRAME))
