"""How long prompts are, so that a wait for one can be bounded. Read from the files where the switch shares our disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

# octets a second of the formats that a switch with 8 kHz calls plays
_RATES: Final = {
    ".wav": 16_000,
    ".ulaw": 8_000,
    ".alaw": 8_000,
    ".sln": 16_000,
    ".sln16": 32_000,
    ".wav16": 32_000,
}


async def find_lengths(folder: str, names: Iterable[str]) -> Mapping[str, float]:
    """Return the seconds of the prompts that can be seen from here; none under a folder that the switch looks up."""
    wanted = set(names)
    if not wanted or not folder.startswith("/"):
        return {}
    return await asyncio.to_thread(_read_lengths, Path(folder), wanted)


def _read_lengths(folder: Path, names: Iterable[str]) -> dict[str, float]:
    lengths: dict[str, float] = {}
    for name in names:
        for suffix, rate in _RATES.items():
            try:
                size = (folder / f"{name}{suffix}").stat().st_size
            except OSError:
                continue
            lengths[name] = max(lengths.get(name, 0.0), size / rate)
    return lengths
