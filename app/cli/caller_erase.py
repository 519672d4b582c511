"""`yanzhen caller erase`."""

from __future__ import annotations

import argparse

from app.cli.context import settings_of
from app.cli.exits import CommandInvalid
from app.cli.output import write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "number", nargs="?", default="", metavar="NUMBER", help="the telephone number, as in +8613800138000"
    )
    parser.add_argument(
        "--wechat",
        default="",
        metavar="APPID/OPENID",
        help="somebody in WeChat: the account's AppID and their openid",
    )


def run(arguments: argparse.Namespace) -> int:
    """Erase what leads from the caller to their queries; works beside a running server."""
    import asyncio

    from app.bootstrap.erasure import erase_caller

    if not (arguments.number or arguments.wechat):
        raise CommandInvalid("Say who is to be forgotten: NUMBER, --wechat APPID/OPENID, or both.")
    gone = asyncio.run(erase_caller(settings_of(arguments), number=arguments.number, wechat=arguments.wechat))
    kept = f"Forgotten: {gone} row(s). The recorded checks stay and belong to nobody."
    write_line(kept if gone else "Nothing was kept of this caller.")
    return 0
