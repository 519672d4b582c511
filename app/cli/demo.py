"""`yanzhen demo`."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from typing import TYPE_CHECKING

from app.cli.context import settings_of
from app.cli.output import write_line, write_table
from app.cli.serve import add_address

if TYPE_CHECKING:
    from app.bootstrap.service import RunningService
    from app.cli.demo_samples import Sample
    from app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_address(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prepare, load the demonstration once, print sample codes with their outcomes of now, serve until stopped."""
    from app.bootstrap.chatting import make_demo_account
    from app.bootstrap.service import serve
    from app.bootstrap.texting import make_demo_provider

    settings = settings_of(arguments)
    samples = asyncio.run(_prepare(settings))
    settings = make_demo_account(make_demo_provider(settings))
    serve(settings, announce=lambda service: _announce(settings, service, samples))
    return 0


async def _prepare(settings: Settings) -> tuple[Sample, ...]:
    from app.bootstrap.preparation import prepare
    from app.bootstrap.storage import storage_place
    from app.bootstrap.workshop import open_workshop
    from app.cli.demo_content import load_content
    from app.cli.demo_samples import make_samples

    made = await prepare(settings)
    if made.key_file:
        write_line(
            f"Made {storage_place(settings)} and {settings.key_file}. The labels need the key file: back it up."
        )
    async with open_workshop(settings) as workshop:
        return await make_samples(workshop, await load_content(workshop))


def _called() -> str:
    """Return the command as somebody can repeat it: `make run` starts it by a relative path, not from PATH."""
    path = sys.argv[0]
    return path if path.endswith("/yanzhen") and not path.startswith("/") else "yanzhen"


def _flags(settings: Settings) -> tuple[str, ...]:
    """Return what another command needs to find this demonstration, nothing where all is as it comes."""
    flags: list[str] = []
    for name in ("data_dir", "port", "public_url"):
        field = type(settings).model_fields[name]
        usual = field.get_default(call_default_factory=True, validated_data={"port": settings.port})
        if getattr(settings, name) != usual:
            flags += ["--set", f"{name}={shlex.quote(str(getattr(settings, name)))}"]
    return tuple(flags)


def _announce(settings: Settings, service: RunningService, samples: tuple[Sample, ...]) -> None:
    url = settings.public_url if settings.port else f"http://{settings.host}:{service.port}"
    write_line()
    write_table(
        ("CODE", "ANSWERS NOW", "WHY"),
        ((sample.code.grouped(), sample.outcome.value, sample.why) for sample in samples),
    )
    write_line()
    write_line("The answers are those for somebody who asks for the first time. How to ask:")
    command = " ".join((_called(), *_flags(settings)))
    for adapter in service.adapters:
        ask = adapter.manifest.how_to_ask.format(code=samples[0].code.digits, public_url=url, yanzhen=command)
        if ask:
            write_line(f"  {adapter.manifest.name:<6} {ask}")
    write_line(f"  {'cli':<6} {command} verify {samples[0].code.digits}")
    write_line()
    write_line(f"Serving on {url} - stop with Ctrl-C.")
    sys.stdout.flush()  # also into a pipe the table must be there while the service runs
