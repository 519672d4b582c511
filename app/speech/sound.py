"""Sound files as the telephone wants them: reading, level, and G.711 mu-law; the standard library alone."""

from __future__ import annotations

import io
import math
import struct
import wave
from array import array
from functools import cache
from pathlib import Path
from typing import Final

from app.core.model.value import value

RATE_HZ: Final = 8000
FULL_SCALE: Final = 32768
_CLIPPED_RUN: Final = 3
_BIAS: Final = 0x84
_CLIP: Final = 32635


class NotTelephoneSound(Exception):
    """The file is not PCM WAV of 8 kHz, mono, 16 bit."""


@value
class Level:
    """How loud a clip is. ``peak_dbfs`` and ``rms_dbfs`` are at most 0 and -inf for silence; ``clipped`` is true where
    samples in a row stand at full scale.
    """

    peak_dbfs: float
    rms_dbfs: float
    clipped: bool


def read_duration_ms(path: Path) -> int:
    """Return the length in ms from the header. Raises ``NotTelephoneSound`` and ``OSError``."""
    with _open(path) as file:
        return file.getnframes() * 1000 // RATE_HZ


def read_samples(path: Path) -> array[int]:
    """Return the samples, 16 bit. Raises ``NotTelephoneSound`` and ``OSError``."""
    with _open(path) as file:
        frames = file.readframes(file.getnframes())
    if len(frames) != file.getnframes() * 2:
        raise NotTelephoneSound("it is cut short")
    samples = array("h", frames)
    if struct.pack("=h", 1) != struct.pack("<h", 1):
        samples.byteswap()
    return samples


def measure(samples: array[int]) -> Level:
    """Return the level of a clip."""
    if not samples:
        return Level(peak_dbfs=-math.inf, rms_dbfs=-math.inf, clipped=False)
    loudest, lowest = max(samples), min(samples)
    peak = max(loudest, -lowest)
    rms = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    return Level(peak_dbfs=_decibels(peak), rms_dbfs=_decibels(rms), clipped=_is_clipped(samples))


def mu_law(samples: array[int]) -> bytes:
    """Return the samples as G.711 mu-law (ITU-T G.711, table 2), one byte each."""
    table = _mu_law_table()
    return bytes(table[sample & 0xFFFF] for sample in samples)


def write_wav(path: Path, samples: array[int]) -> None:
    """Write PCM WAV, 8 kHz, mono, 16 bit."""
    path.write_bytes(wav(samples))


def wav(samples: array[int]) -> bytes:
    """Return samples as a file: PCM WAV, 8 kHz, mono, 16 bit."""
    data = array("h", samples)
    if struct.pack("=h", 1) != struct.pack("<h", 1):
        data.byteswap()
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(data.tobytes())
    return written.getvalue()


def _open(path: Path) -> wave.Wave_read:
    try:
        file = wave.open(str(path), "rb")  # noqa: SIM115 - given to the caller, who closes it
    except (wave.Error, EOFError, RuntimeError, ValueError, struct.error) as error:  # by the header's sizes
        raise NotTelephoneSound(f"it is no WAV file of PCM samples ({error})") from None
    rate, channels, bits = file.getframerate(), file.getnchannels(), file.getsampwidth() * 8
    frames = file.getnframes()
    if (rate, channels, bits) != (RATE_HZ, 1, 16):
        problem = f"it has {rate} Hz, {channels} channels, {bits} bit instead of {RATE_HZ} Hz, 1, 16"
    elif not frames:
        problem = "it holds no sound"
    elif path.stat().st_size < frames * 2:
        problem = "it is cut short"
    else:
        return file
    file.close()
    raise NotTelephoneSound(problem)


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude / FULL_SCALE) if amplitude else -math.inf


def _is_clipped(samples: array[int]) -> bool:
    run = 0
    for sample in samples:
        run = run + 1 if abs(sample) >= FULL_SCALE - 2 else 0
        if run >= _CLIPPED_RUN:
            return True
    return False


@cache
def _mu_law_table() -> bytes:
    """Return the byte of each sample, by the sample's two's complement."""
    return bytes(_mu_law_byte(bits - 0x10000 if bits >= 0x8000 else bits) for bits in range(0x10000))


def _mu_law_byte(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = max(magnitude.bit_length() - 8, 0)
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | exponent << 4 | mantissa) & 0xFF
