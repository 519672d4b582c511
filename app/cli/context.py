"""What every command does first: settings from the flags, and an event loop where the service needs one."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from app.cli.exits import CommandInvalid
from app.cli.output import write_notice

if TYPE_CHECKING:
    from app.bootstrap.workshop import Workshop
    from app.core.model.label import Brand, Product
    from app.settings import Settings

T = TypeVar("T")


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings of this command: flags over environment over the file over defaults."""
    from app.settings import load_settings

    flags: dict[str, Any] = {}
    for assignment in arguments.set or ():
        name, equals, value = assignment.partition("=")
        if not equals:
            raise CommandInvalid(f"--set {assignment}: write it as NAME=VALUE, for example --set port=8080.")
        *parents, last = name.strip().split(".")
        part = flags
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = value
    if arguments.data_dir:
        flags["data_dir"] = arguments.data_dir
    for name in ("host", "port", "public_url", "workers"):
        value = getattr(arguments, name, None)
        if value is not None:
            flags[name] = value
    return load_settings(config=Path(arguments.config) if arguments.config else None, flags=flags)


def in_workshop(arguments: argparse.Namespace, work: Callable[[Workshop], Awaitable[T]]) -> T:
    """Run ``work`` with the database open for issuing; closes it whatever happens."""
    from app.bootstrap.workshop import open_workshop

    settings = settings_of(arguments)

    async def run() -> T:
        async with open_workshop(settings) as workshop:
            return await work(workshop)

    return asyncio.run(run())


def speak_name(arguments: argparse.Namespace, owner: Brand | Product) -> None:
    """Make the clips of a name just entered, where this installation has a hotline; what fails is said, and no more."""
    from app.bootstrap.speech import names_of, render_names

    for failure in asyncio.run(render_names(settings_of(arguments), names_of(owner))):
        write_notice(
            f"No clip could be made of {failure.order.label}: {failure.why}. Give --spoken-name another way."
        )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the flag that every command with an answer has."""
    parser.add_argument("--json", action="store_true", help="print the answer as JSON for scripts")
