"""`yanzhen programme list`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, in_workshop
from app.cli.fields import spoken_thresholds
from app.cli.output import write_json, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every label programme."""
    programmes = in_workshop(arguments, lambda workshop: workshop.registry.programmes())
    if arguments.json:
        write_json(
            [
                {
                    "id": programme.id,
                    "name": programme.name,
                    "name_en": programme.name_en,
                    "thresholds": spoken_thresholds(programme.thresholds) or None,
                }
                for programme in programmes
            ]
        )
    else:
        write_table(
            ("ID", "NAME", "ENGLISH", "THRESHOLDS"),
            ((p.id, p.name, p.name_en, spoken_thresholds(p.thresholds)) for p in programmes),
        )
    return 0
