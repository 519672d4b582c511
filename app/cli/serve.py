"""`yanzhen serve`."""

from __future__ import annotations

import argparse

from app.cli.context import settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_address(parser)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Declare where to listen; shared with `demo`."""
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8315)")
    parser.add_argument("--public-url", metavar="URL", help="address shoppers reach the service at")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is under way."""
    from app.bootstrap.service import serve

    serve(settings_of(arguments))
    return 0
