"""Laying the clips down for a telephone switch: a folder a locale, plain names, the format it plays without work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.core.errors import FileUnwritable
from app.speech.library import ClipLibrary, switch_name
from app.speech.sound import mu_law, read_samples

FORMATS: Final[dict[str, Callable[[Path], bytes]]] = {
    "wav": Path.read_bytes,
    "ulaw": lambda path: mu_law(read_samples(path)),
}


def export_clips(library: ClipLibrary, folder: Path, form: str) -> int:
    """Write every clip as ``<folder>/<locale>/<name>.<form>`` and return how many. Blocking.

    ``form`` is ``wav`` (PCM, 8 kHz, mono, 16 bit) or ``ulaw`` (G.711 without a header). A file appears whole or not
    at all, so a switch may be playing meanwhile. Raises ``FileUnwritable``.
    """
    clips = library.known()
    try:
        for (locale, item), clip in clips.items():
            target = folder / f"{switch_name(item, locale, clip)}.{form}"
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{target.name}.{os.getpid()}")
            part.write_bytes(FORMATS[form](clip.path))
            part.replace(target)
    except OSError as error:
        raise FileUnwritable(f"The clips cannot be written to {folder}: {error.strerror}.") from error
    return len(clips)
