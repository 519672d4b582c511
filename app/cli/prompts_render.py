"""`yanzhen prompts render`."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from app.cli.context import add_json, settings_of
from app.cli.exits import Exit
from app.cli.output import Progress, write_json, write_line, write_notice

if TYPE_CHECKING:
    from app.settings import Settings
    from app.speech.library import ClipLibrary
    from app.speech.ports import ClipFailed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--prune", action="store_true", help="remove synthetic clips that nothing plays any more"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Render what is missing in every language, names included; a clip that cannot be made is named."""
    return asyncio.run(_render(settings_of(arguments), prune=arguments.prune, as_json=arguments.json))


async def _render(settings: Settings, *, prune: bool, as_json: bool) -> int:
    from app.bootstrap.speech import all_cores, open_library, require_synthesiser

    library = await open_library(settings, jobs=all_cores())
    wanted = len(library.missing())
    if wanted:
        require_synthesiser()
    failed = await _make(library, wanted)
    pruned = library.stale() if prune else ()
    for path in pruned:
        path.unlink(missing_ok=True)
    for failure in failed:
        write_notice(f"{failure.order.label} ({failure.order.voice}): {failure.why}")
    kept = len(library.known())
    if as_json:
        failures = [failure.order.label for failure in failed]
        write_json({"made": wanted - len(failed), "failed": failures, "pruned": len(pruned), "clips": kept})
    else:
        write_line(
            f"{wanted - len(failed)} clips made, {len(failed)} failed, {len(pruned)} removed; {kept} in all."
        )
        write_line(f"They are in {library.folder}.")
    return Exit.REFUSED if failed else Exit.OK


async def _make(library: ClipLibrary, wanted: int) -> list[ClipFailed]:
    from app.speech.ports import ClipFailed

    failed, done = [], 0
    progress = Progress("Rendering")
    try:
        async for result in library.render():
            done += 1
            progress.show(done, wanted)
            if isinstance(result, ClipFailed):
                failed.append(result)
    finally:
        progress.close()
    return failed
