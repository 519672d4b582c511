"""`yanzhen serve`."""

from __future__ import annotations

import argparse
import sys

from app.cli.context import settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_address(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="processes that share the address (1)")
    parser.add_argument("--seat", help=argparse.SUPPRESS)  # how the supervisor starts a worker


def add_address(parser: argparse.ArgumentParser) -> None:
    """Declare where to listen; shared with `demo`."""
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8315)")
    parser.add_argument("--public-url", metavar="URL", help="address shoppers reach the service at")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    settings = settings_of(arguments)
    if arguments.seat:
        from app.bootstrap.seats import Seat
        from app.bootstrap.service import serve

        serve(settings, seat=Seat.parse(arguments.seat))
    elif settings.workers > 1:
        from app.bootstrap.workers import supervise

        supervise(settings, worker_command(arguments))
    else:
        from app.bootstrap.service import serve

        serve(settings)
    return 0


def worker_command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that starts a worker with the flags given here."""
    words = [sys.executable, "-m", "app", "serve"]
    for name in ("config", "data_dir", "host", "port", "public_url", "workers"):
        if (given := getattr(arguments, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(given)]
    for assignment in arguments.set or ():
        words += ["--set", assignment]
    return [*words, "--traceback"] if arguments.traceback else words
