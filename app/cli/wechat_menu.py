"""`yanzhen wechat menu`."""

from __future__ import annotations

import argparse
import asyncio

from app.cli.context import add_json, settings_of
from app.cli.output import write_json, write_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--account", default="", metavar="NAME", help="official account (the first set up)")
    parser.add_argument(
        "--show", action="store_true", help="print the menu as WeChat takes it, and call nobody"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Put the menu on the account, or show it."""
    from app.bootstrap.wechat_menu import menu_document, put_menu

    if arguments.show:
        _show(menu_document(), as_json=arguments.json)
        return 0
    name = asyncio.run(put_menu(settings_of(arguments), arguments.account))
    if arguments.json:
        write_json({"account": name, "menu": menu_document()})
    else:
        write_line(f"The account {name} has our menu. Telephones show it within five minutes.")
    return 0


def _show(menu: object, *, as_json: bool) -> None:
    if as_json:
        write_json(menu)
        return
    import json

    write_line(json.dumps(menu, ensure_ascii=False, indent=2))
