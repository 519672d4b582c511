"""`yanzhen product list`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, in_workshop
from app.cli.fields import spoken_thresholds
from app.cli.output import write_json, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every product."""
    products = in_workshop(arguments, lambda workshop: workshop.registry.products())
    if arguments.json:
        write_json(
            [
                {
                    "id": product.id,
                    "brand": product.brand.id,
                    "name": product.name,
                    "name_en": product.name_en,
                    "short_name": product.short_name,
                    "gtin": product.gtin or None,
                    "picture_url": product.picture_url or None,
                    "thresholds": spoken_thresholds(product.thresholds) or None,
                }
                for product in products
            ]
        )
    else:
        write_table(
            ("ID", "BRAND", "NAME", "ENGLISH", "GTIN", "PICTURE", "THRESHOLDS"),
            (
                (
                    p.id,
                    f"{p.brand.id} {p.brand.name}",
                    p.name,
                    p.name_en,
                    p.gtin,
                    p.picture_url,
                    spoken_thresholds(p.thresholds),
                )
                for p in products
            ),
        )
    return 0
