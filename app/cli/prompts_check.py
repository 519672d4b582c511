"""`yanzhen prompts check`."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from app.cli.context import add_json, settings_of
from app.cli.exits import Exit
from app.cli.output import write_json, write_line, write_table

if TYPE_CHECKING:
    from app.settings import Settings
    from app.speech.inspection import Finding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look over every clip; ends with exit code 1 where one is wrong."""
    clips, findings = asyncio.run(_check(settings_of(arguments)))
    if arguments.json:
        write_json({"clips": clips, "findings": [_plain(finding) for finding in findings]})
    elif findings:
        write_table(
            ("FAULT", "LANGUAGE", "PROMPT", "WHAT TO DO"),
            ((finding.fault.value, finding.locale, finding.key, finding.advice) for finding in findings),
        )
    else:
        write_line(f"{clips} clips: none missing, silent, overdriven, too long, stale or in a wrong format.")
    return Exit.REFUSED if findings else Exit.OK


async def _check(settings: Settings) -> tuple[int, tuple[Finding, ...]]:
    from app.bootstrap.speech import inspect, open_library

    library = await open_library(settings)
    return len(library.known()), await inspect(library)


def _plain(finding: Finding) -> dict[str, str]:
    return {
        "fault": finding.fault.value,
        "locale": finding.locale,
        "key": finding.key,
        "advice": finding.advice,
    }
