"""`yanzhen brand add`."""

from __future__ import annotations

import argparse

from app.cli import fields
from app.cli.context import add_json, in_workshop, speak_name
from app.cli.output import write_json, write_line
from app.core.model.label import Disclosure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--name", required=True, type=fields.name, help="the name on the pack")
    parser.add_argument(
        "--name-en", default="", type=fields.optional(fields.name), help="the name in English"
    )
    parser.add_argument(
        "--short-name",
        default="",
        type=fields.optional(fields.short_name),
        help="at most 10 hanzi or 24 GSM-7",
    )
    parser.add_argument(
        "--spoken-name", default="", type=fields.optional(fields.name), help="how a voice says the name"
    )
    parser.add_argument(
        "--service-line",
        default="",
        type=fields.optional(fields.service_line),
        metavar="TEL",
        help="telephone",
    )
    parser.add_argument(
        "--disclosure",
        type=fields.disclosure,
        default=Disclosure.FULL,
        metavar="full|minimal",
        help="minimal announces voided and not activated labels as not found",
    )
    parser.add_argument(
        "--thresholds", type=fields.thresholds, metavar="G,W", help="genuine and warning, e.g. 1,4"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Add the brand and print its id."""
    brand = in_workshop(
        arguments,
        lambda workshop: workshop.registry.add_brand(
            name=arguments.name,
            name_en=arguments.name_en,
            short_name=arguments.short_name or fields.shortened(arguments.name),
            spoken_name=arguments.spoken_name,
            service_line=arguments.service_line,
            disclosure=arguments.disclosure,
            thresholds=arguments.thresholds,
        ),
    )
    speak_name(arguments, brand)
    if arguments.json:
        write_json({"id": brand.id})
    else:
        write_line(
            f"Brand {brand.id} added: {brand.name}. Next: yanzhen product add --brand {brand.id} --name NAME"
        )
    return 0
