"""`yanzhen brand list`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, in_workshop
from app.cli.fields import spoken_thresholds
from app.cli.output import write_json, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every brand."""
    brands = in_workshop(arguments, lambda workshop: workshop.registry.brands())
    if arguments.json:
        write_json(
            [
                {
                    "id": brand.id,
                    "name": brand.name,
                    "name_en": brand.name_en,
                    "short_name": brand.short_name,
                    "service_line": brand.service_line,
                    "disclosure": brand.disclosure,
                    "thresholds": spoken_thresholds(brand.thresholds) or None,
                }
                for brand in brands
            ]
        )
    else:
        write_table(
            ("ID", "NAME", "ENGLISH", "SHORT", "SERVICE LINE", "DISCLOSURE", "THRESHOLDS"),
            (
                (
                    b.id,
                    b.name,
                    b.name_en,
                    b.short_name,
                    b.service_line,
                    b.disclosure,
                    spoken_thresholds(b.thresholds),
                )
                for b in brands
            ),
        )
    return 0
