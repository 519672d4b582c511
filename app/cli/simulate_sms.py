"""`yanzhen simulate sms`."""

from __future__ import annotations

import argparse
import secrets
from typing import Final

from app.cli.context import add_json, settings_of
from app.cli.output import write_json, write_line

_FROM: Final = "+8613800138000"
_TO: Final = "95001"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("text", nargs="+", metavar="TEXT", help="what the shopper texts; may be empty: ''")
    parser.add_argument("--from", dest="sender", default=_FROM, metavar="NUMBER", help=f"who texts ({_FROM})")
    parser.add_argument("--to", default=_TO, metavar="NUMBER", help=f"the number texted to ({_TO})")
    parser.add_argument(
        "--via", choices=("twilio", "kannel"), default="", help="provider to play (the first set up)"
    )
    parser.add_argument("--message-id", default="", metavar="ID", help="repeat a message: give its id again")
    parser.add_argument("--url", default="", help="where the server listens (http://127.0.0.1 and the port)")
    parser.add_argument("--port", type=int, help="port the server listens on (8315)")
    parser.add_argument("--public-url", metavar="URL", help="the server's public address, which is signed")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Send one signed webhook and print the reply, its encoding and its segments."""
    import asyncio

    from app.bootstrap.simulation import simulate_text
    from channels.wording.segments import segments_of

    settings = settings_of(arguments)
    message_id = arguments.message_id or f"SM{secrets.token_hex(16)}"
    simulated = asyncio.run(
        simulate_text(
            settings,
            sender=arguments.sender,
            ours=arguments.to,
            text=" ".join(arguments.text),
            message_id=message_id,
            url=(arguments.url or f"http://127.0.0.1:{settings.port}").rstrip("/"),
            via=arguments.via,
        )
    )
    size = segments_of(simulated.text)
    if arguments.json:
        write_json(
            {
                "via": simulated.via,
                "message_id": message_id,
                "reply": simulated.text or None,
                "encoding": size.encoding if simulated.text else None,
                "units": size.units,
                "segments": size.segments if simulated.text else 0,
            }
        )
    elif simulated.text:
        write_line(simulated.text)
        parts = "1 segment" if size.segments == 1 else f"{size.segments} segments"
        write_line(f"({simulated.via}: {size.encoding}, {size.units} units, {parts})")
    else:
        write_line("(no reply: the server stays silent, or pushes it later)")
    return 0
