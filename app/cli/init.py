"""`yanzhen init`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, settings_of
from app.cli.output import write_json, write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make what is missing and say what must be backed up; what is there is left alone."""
    import asyncio

    from app.bootstrap.preparation import prepare
    from app.bootstrap.storage import storage_place

    settings = settings_of(arguments)
    made = asyncio.run(prepare(settings))
    place = storage_place(settings)
    if arguments.json:
        write_json(
            {
                "database": place,
                "database_made": bool(made.migrations),
                "key_file": str(settings.key_file),
                "key_file_made": made.key_file,
            }
        )
        return 0
    write_line(f"database  {place}  {'made' if made.migrations else 'was there, left alone'}")
    write_line(
        f"key file  {settings.key_file}  {'made, mode 0600' if made.key_file else 'was there, left alone'}"
    )
    write_line()
    write_line(
        f"Back up {settings.key_file} now, apart from the database: without it no label can be recognised,"
    )
    write_line("and whoever has it can forge labels. Next: yanzhen brand add --name NAME, then yanzhen serve")
    return 0
