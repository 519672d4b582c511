"""`yanzhen verify`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from app.cli.context import add_json, settings_of
from app.cli.exits import Exit
from app.cli.output import write_line, write_notice
from app.core.model.verdict import Outcome

if TYPE_CHECKING:
    from channels.wording.reply import Reply


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "code", nargs="+", metavar="CODE", help="the digits in any layout, or a text that holds them"
    )
    parser.add_argument(
        "--scanned", action="store_true", help="the code was scanned, so it holds no typing slip"
    )
    parser.add_argument("--locale", default="zh-CN", help="language of the answer: zh-CN or en (zh-CN)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, record, and print what the page would say; works beside a running server."""
    import asyncio

    from app.bootstrap.one_answer import verify_once
    from app.core.model.code import Entry

    answer = asyncio.run(
        verify_once(
            settings_of(arguments),
            " ".join(arguments.code),
            entry=Entry.SCANNED if arguments.scanned else Entry.TYPED,
            locale=arguments.locale,
        )
    )
    unavailable = answer.reply.verdict.outcome is Outcome.UNAVAILABLE
    if arguments.json:
        sys.stdout.write(answer.document.decode() + "\n")
    else:
        _show(answer.reply)
    if unavailable and answer.failure:
        write_notice(answer.failure)
    return Exit.UNAVAILABLE if unavailable else Exit.OK


def _show(reply: Reply) -> None:
    page = reply.page
    write_line(f"{reply.verdict.outcome.value}: {page.headline}")
    write_line(reply.message)
    names = ", ".join(name for name in (page.product, page.brand, page.programme) if name)
    if names:
        write_line(names)
    for fact in page.facts:
        write_line(f"{fact.label}: {fact.value}")
    for look in page.look_at:
        write_line(f"- {look}")
    write_line(page.next_step)
    if page.service_line:
        write_line(page.service_line)
