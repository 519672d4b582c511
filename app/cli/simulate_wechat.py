"""`yanzhen simulate wechat`."""

from __future__ import annotations

import argparse
import secrets
from typing import TYPE_CHECKING, Final

from app.cli.context import add_json, settings_of
from app.cli.exits import CommandInvalid
from app.cli.output import write_json, write_line

if TYPE_CHECKING:
    from app.bootstrap.simulated_chat import Chatted, Doing

_KINDS: Final = ("text", "voice", "image", "card")
_EVENTS: Final = ("subscribe", "enter")
_FORMATS: Final = ("json", "xml")
_IDS_BELOW: Final = 10**15  # so that JSON readers keep every digit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "text",
        nargs="*",
        metavar="TEXT",
        help="what the shopper writes; with subscribe, the code followed by",
    )
    deeds = parser.add_mutually_exclusive_group()
    deeds.add_argument("--scan", metavar="ADDRESS", help="scan this address, or these digits, from the menu")
    deeds.add_argument(
        "--event", choices=_EVENTS, help="follow the account, or enter the mini-program's chat"
    )
    deeds.add_argument("--kind", choices=_KINDS, default="text", help="what sort of message TEXT is (text)")
    parser.add_argument("--account", default="", metavar="NAME", help="account to play (the first set up)")
    parser.add_argument("--mini-program", action="store_true", help="play the mini-program, not the account")
    parser.add_argument("--format", choices=_FORMATS, help="how a mini-program's messages come (json)")
    parser.add_argument("--openid", default="", metavar="NAME", help="who writes (a made-up shopper)")
    parser.add_argument(
        "--message-id", type=int, metavar="NUMBER", help="repeat a message: give its id again"
    )
    parser.add_argument("--url", default="", help="where the server listens (http://127.0.0.1 and the port)")
    parser.add_argument("--port", type=int, help="port the server listens on (8315)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Bring one signed message and print the reply, decrypted."""
    import asyncio

    from app.bootstrap.simulated_chat import simulate_chat

    settings = settings_of(arguments)
    doing = _doing(arguments)
    chatted = asyncio.run(
        simulate_chat(
            settings,
            doing,
            url=(arguments.url or f"http://127.0.0.1:{settings.port}").rstrip("/"),
            account_name=arguments.account,
            mini_program=arguments.mini_program,
            as_json=None if arguments.format is None else arguments.format == "json",
        )
    )
    if arguments.json:
        write_json(
            {
                "account": chatted.account,
                "mode": chatted.mode,
                "message_id": doing.message_id,
                "kind": chatted.kind or None,
                "reply": chatted.reply or None,
            }
        )
    else:
        _say(chatted)
    return 0


def _doing(arguments: argparse.Namespace) -> Doing:
    from app.bootstrap.simulated_chat import OPENID, Doing
    from channels.wechat.simulate import Deed

    text = " ".join(arguments.text)
    deed = Deed(arguments.event or arguments.kind)
    if arguments.scan is not None:
        if text:
            raise CommandInvalid("Give TEXT or --scan, not both.")
        deed, text = Deed.SCAN, arguments.scan
    elif not arguments.text and deed in {Deed.TEXT, Deed.VOICE, Deed.CARD}:
        raise CommandInvalid("Say what the shopper does: TEXT, --scan or --event. TEXT may be empty: ''.")
    message_id = arguments.message_id
    if message_id is None:
        message_id = secrets.randbelow(_IDS_BELOW)
    return Doing(deed=deed, text=text, openid=arguments.openid or OPENID, message_id=message_id)


def _say(chatted: Chatted) -> None:
    if not chatted.kind:
        write_line("(acknowledged: the server stays silent, or pushes its answer later)")
        return
    write_line(chatted.reply)
    write_line(f"({chatted.account}: {chatted.kind}, {chatted.mode} mode)")
