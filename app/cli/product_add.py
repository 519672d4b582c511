"""`yanzhen product add`."""

from __future__ import annotations

import argparse

from app.cli import fields
from app.cli.context import add_json, in_workshop, speak_name
from app.cli.output import write_json, write_line
from app.core.model.label import BrandId


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--brand", required=True, type=int, metavar="ID", help="see `yanzhen brand list`")
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
        "--gtin", default="", type=fields.optional(fields.gtin), help="the number under the barcode"
    )
    parser.add_argument(
        "--picture-url",
        default="",
        type=fields.optional(fields.picture_url),
        metavar="URL",
        help="an https address of its picture, for WeChat cards",
    )
    parser.add_argument(
        "--thresholds",
        type=fields.thresholds,
        metavar="G,W",
        help="up to G checks are genuine, up to W warn, beyond that refuse; e.g. 1,4",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Add the product and print its id."""
    product = in_workshop(
        arguments,
        lambda workshop: workshop.registry.add_product(
            brand_id=BrandId(arguments.brand),
            name=arguments.name,
            name_en=arguments.name_en,
            short_name=arguments.short_name or fields.shortened(arguments.name),
            spoken_name=arguments.spoken_name,
            gtin=arguments.gtin,
            picture_url=arguments.picture_url,
            thresholds=arguments.thresholds,
        ),
    )
    speak_name(arguments, product)
    if arguments.json:
        write_json({"id": product.id})
    else:
        write_line(
            f"Product {product.id} added: {product.name} of {product.brand.name}. "
            f"Next: yanzhen batch issue --product {product.id} --quantity N"
        )
    return 0
