"""Which clips are heard in a recording of a call, when, and how surely: normalised cross-correlation.

Both sides are whitened first. Vowels of one synthetic voice are so alike that short words score 0.8 against
each other without it; with it nearly all stay below 0.4 that share no syllables (as two years or months do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.acceptance.ivr.sound import RATE, Samples

HEARD: Final = 0.95  # at least, for a clip that was played
NOT_HEARD: Final = 0.4  # at most, for a clip that was not
_ORDER: Final = 16  # of the predictor: eight resonances, more than speech has at 8 kHz
_LONGEST: Final = 3 * RATE  # a clip is known by its first three seconds
_STRETCH: Final = 10 * RATE
_BLOCK: Final = 1 << 17  # samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A clip in a recording: seconds from its beginning, and the correlation there, -1 to 1."""

    name: str
    at_s: float
    score: float


def correlate(recording: Samples, clip: Samples) -> NDArray[np.float64]:
    """Return the correlation of the first 3 s of the clip with every place of the recording, each -1 to 1.

    Both go through the linear predictor's error filter of the clip, so that its melody counts and not its timbre.
    Shapes: (n,) and (m,) give (n - k + 1,) with k = min(m, 3 s); a recording shorter than the clip gives (0,).
    Sound weaker than a hundredth of the clip's amplitude counts as silence, where nothing is found.
    """
    wanted = clip[:_LONGEST].astype(np.float64)
    if not wanted.any():
        raise ValueError("a silent clip cannot be heard")
    whitener = _whitener(wanted)
    heard = np.convolve(recording.astype(np.float64), whitener)[: len(recording)]
    wanted = np.convolve(wanted, whitener)[: len(wanted)]
    wanted -= wanted.mean()
    strength = float(np.linalg.norm(wanted))
    places = len(heard) - len(wanted) + 1
    if places < 1:
        return np.zeros(0)
    product = _products(heard, wanted)
    energy = _sliding(heard**2, len(wanted)) - _sliding(heard, len(wanted)) ** 2 / len(wanted)
    floor = (0.01 * strength) ** 2
    return np.asarray(
        np.where(energy > floor, product / (np.sqrt(np.maximum(energy, floor)) * strength), 0.0)
    )


def first_place(recording: Samples, clip: Samples, least: float = HEARD) -> tuple[int | None, float]:
    """Return the first place where the clip is heard with at least that score (None: nowhere), and the best score.

    Ten seconds are looked at after the other: what is asked for mostly comes soon, and a call is long.
    """
    best, length = 0.0, min(len(clip), _LONGEST)
    for start in range(0, len(recording) - length + 1, _STRETCH):
        scores = correlate(recording[start : start + _STRETCH + length - 1], clip)
        best = max(best, float(scores.max()))
        heard = np.flatnonzero(scores >= least)
        if len(heard):
            return start + int(heard[0]), best
    return None, best


def best_match(recording: Samples, name: str, clip: Samples) -> Match:
    """Return where the clip is most likely; a score of 0 if the recording is too short for it."""
    scores = correlate(recording, clip)
    if not len(scores):
        return Match(name=name, at_s=0.0, score=0.0)
    place = int(np.argmax(scores))
    return Match(name=name, at_s=place / RATE, score=float(scores[place]))


def find_clips(recording: Samples, clips: Mapping[str, Samples], least: float = HEARD) -> tuple[Match, ...]:
    """Return every place where one of the clips is heard with at least that score, in order of time.

    Two places of one clip lie at least half of it apart.
    """
    found: list[Match] = []
    for name, clip in clips.items():
        scores = correlate(recording, clip)
        apart = max(min(len(clip), _LONGEST) // 2, 1)
        while len(scores) and float(scores.max()) >= least:
            place = int(np.argmax(scores))
            found.append(Match(name=name, at_s=place / RATE, score=float(scores[place])))
            scores[max(0, place - apart) : place + apart] = 0.0
    return tuple(sorted(found, key=lambda match: match.at_s))


def sounding_s(recording: Samples, level: float = 0.003) -> float:
    """Return how many seconds of the recording are louder than ``level`` of full scale, in steps of 20 ms."""
    step = RATE // 50
    whole = recording[: len(recording) // step * step].astype(np.float64).reshape(-1, step) / 32768
    return float(np.count_nonzero(np.sqrt((whole**2).mean(axis=1)) > level) / 50)


def _whitener(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients of the prediction error filter, shape (order + 1,), by the autocorrelation method.

    Makhoul, "Linear Prediction: A Tutorial Review", Proc. IEEE 63(4), 1975; a hundredth of
    white noise keeps the quantisation noise of mu-law, which lies some 37 dB lower, from being blown up with the rest.
    """
    spectrum = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    lags = np.fft.irfft(spectrum, 2 * len(samples))[: _ORDER + 1]
    lags[0] *= 1.01
    places = np.arange(_ORDER)
    matrix = lags[np.abs(np.subtract.outer(places, places))]
    return np.concatenate(([1.0], -np.linalg.solve(matrix, lags[1:])))


def _products(heard: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the products of ``wanted`` with every run of as many neighbours, block by block as fits a cache."""
    size = min(_BLOCK, 1 << (len(heard) - 1).bit_length())
    step, places = size - len(wanted) + 1, len(heard) - len(wanted) + 1
    kernel = np.conj(np.fft.rfft(wanted, size))
    blocks = (np.fft.rfft(heard[start : start + size], size) for start in range(0, places, step))
    return np.concatenate([np.fft.irfft(block * kernel, size)[:step] for block in blocks])[:places]


def _sliding(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the sums of all runs of ``width`` neighbours."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    return np.asarray(sums[width:] - sums[:-width])
