"""`yanzhen prompts export`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.context import add_json, settings_of
from app.cli.exits import Exit
from app.cli.output import write_json, write_line, write_notice

if TYPE_CHECKING:
    from app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the switch looks for its sounds")
    parser.add_argument(
        "--for",
        dest="switch",
        choices=("asterisk",),
        default="asterisk",
        help="the telephone switch (asterisk)",
    )
    parser.add_argument(
        "--format", choices=("wav", "ulaw"), default="wav", help="8 kHz PCM, or G.711 mu-law (wav)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write every clip as DIR/<language>/<name>; what is missing is said and left out."""
    written, missing = asyncio.run(_export(settings_of(arguments), arguments.folder, arguments.format))
    if missing:
        write_notice(f"{missing} clips are missing: run `yanzhen prompts render` first, then export again.")
    if arguments.json:
        write_json({"written": written, "missing": missing})
    else:
        write_line(f"{written} files written to {arguments.folder}.")
    return Exit.REFUSED if missing else Exit.OK


async def _export(settings: Settings, folder: Path, form: str) -> tuple[int, int]:
    from app.bootstrap.speech import open_library
    from app.speech.export import export_clips

    library = await open_library(settings)
    return await asyncio.to_thread(export_clips, library, folder, form), len(library.missing())
