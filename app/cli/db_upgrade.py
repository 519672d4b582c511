"""`yanzhen db upgrade`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, settings_of
from app.cli.output import write_json, write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Apply what is pending; each step is one transaction, so a broken-off upgrade can be repeated."""
    from app.bootstrap.preparation import upgrade_database

    applied = upgrade_database(settings_of(arguments))
    if arguments.json:
        write_json({"applied": list(applied)})
    elif applied:
        write_line(f"Applied: {', '.join(applied)}. The database is up to date.")
    else:
        write_line("The database was up to date; nothing was changed.")
    return 0
