"""`yanzhen caller erase`."""

from __future__ import annotations

import argparse

from app.cli.context import settings_of
from app.cli.output import write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("number", metavar="NUMBER", help="the telephone number, as in +8613800138000")


def run(arguments: argparse.Namespace) -> int:
    """Erase what leads from the number to its queries; works beside a running server."""
    import asyncio

    from app.bootstrap.erasure import erase_caller

    gone = asyncio.run(erase_caller(settings_of(arguments), arguments.number))
    kept = f"Forgotten: {gone} row(s). The recorded checks stay and belong to nobody."
    write_line(kept if gone else "Nothing was kept of this number.")
    return 0
