"""Welch's t between classes of one pooled measurement, cropped by a rule that is fixed beforehand (as dudect does)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

LIMIT: Final = 4.5
_KEPT: Final = (0.5, 0.9)  # of the pooled sample: above it stand interruptions, which tell of the machine
_MOMENTS: Final = (1, 2)

Samples = Mapping[str, npt.NDArray[np.float64]]


def largest_t(samples: Samples) -> tuple[float, str]:
    """Return the largest |t| of any two classes and what it is of: the mean, or the spread about it."""
    return max(one for share in _KEPT for one in _all_t(samples, share))


def _all_t(samples: Samples, share: float) -> Iterator[tuple[float, str]]:
    cut = np.quantile(np.concatenate(list(samples.values())), share)
    kept = {name: values[values <= cut] for name, values in samples.items()}
    centre = np.concatenate(list(kept.values())).mean()
    for one, other in combinations(kept, 2):
        for moment in _MOMENTS:
            a, b = ((kept[name] - centre) ** moment if moment > 1 else kept[name] for name in (one, other))
            spread = a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
            t = abs(float(a.mean() - b.mean())) / float(np.sqrt(spread)) if spread else 0.0
            yield t, f"{one} and {other}, moment {moment}"
