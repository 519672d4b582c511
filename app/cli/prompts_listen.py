"""`yanzhen prompts listen`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from app.cli.context import add_json, settings_of
from app.cli.output import write_json, write_line
from app.core.errors import NotFound

if TYPE_CHECKING:
    from app.settings import Settings
    from app.speech.library import Clip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "key", help="the prompt's key, as in voice_prompts/<language>/prompts.toml, or a name"
    )
    parser.add_argument("--locale", default="zh-CN", help="the language (zh-CN)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print where the clip is, how long and how loud, and play it on a terminal where there is a player."""
    from app.speech.sound import measure, read_samples

    clip, sentence = asyncio.run(_find(settings_of(arguments), arguments.key, arguments.locale))
    level = measure(read_samples(clip.path))
    facts = {
        "file": str(clip.path),
        "sentence": sentence,
        "duration_ms": clip.duration_ms,
        "peak_dbfs": round(level.peak_dbfs, 1),
        "rms_dbfs": round(level.rms_dbfs, 1),
        "recorded": clip.recorded,
    }
    if arguments.json:
        write_json(facts)
        return 0
    source = "a recording" if clip.recorded else "synthetic"
    write_line(f"{sentence}")
    write_line(f"{clip.path} ({source})")
    write_line(
        f"{clip.duration_ms} ms, peak {level.peak_dbfs:.1f} dBFS, {level.rms_dbfs:.1f} dBFS on average"
    )
    sys.stdout.flush()
    _play(clip)
    return 0


async def _find(settings: Settings, key: str, locale: str) -> tuple[Clip, str]:
    from app.bootstrap.speech import open_library
    from app.speech.spoken import Name, Phrase

    library = await open_library(settings)
    if locale not in library.books:
        raise NotFound(f"There are no prompts in {locale}; there are in {', '.join(library.books)}.")
    prompt = library.books[locale].prompts.get(key)
    clip = library.find(Phrase(key=key) if prompt else Name(text=key), locale)
    if clip is not None:
        return clip, prompt.sentence if prompt else key
    if prompt is None:
        raise NotFound(f"There is no prompt or name {key} in {locale}; the keys stand in prompts.toml.")
    raise NotFound(f"{key} has no clip yet. Run `yanzhen prompts render`.")


def _play(clip: Clip) -> None:
    from app.bootstrap.sound_player import find_player

    player = find_player() if sys.stdout.isatty() else None
    if player is not None:
        player.start(clip.path, length_ms=clip.duration_ms)
        player.finish()
