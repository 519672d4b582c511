"""`yanzhen keys list`."""

from __future__ import annotations

import argparse

from app.cli.context import add_json, in_workshop
from app.cli.output import write_json, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print each key's name, check value and whether the database knows it; never a key."""
    from app.bootstrap.workshop import Workshop

    async def load(workshop: Workshop) -> tuple[dict[str, str], dict[str, str], int]:
        ring = workshop.key_file.load()
        catalogue = await workshop.catalogues.load()
        return dict(ring.checks()), dict(catalogue.key_checks), ring.current_tag_key_id

    own, stored, current = in_workshop(arguments, load)
    rows = [
        {
            "name": name,
            "check": own.get(name) or stored[name],
            "state": _state(own.get(name), stored.get(name)),
            "current": name == f"tag/{current}",
        }
        for name in sorted(own.keys() | stored.keys())
    ]
    if arguments.json:
        write_json(rows)
    else:
        write_table(
            ("KEY", "CHECK VALUE", "STATE", ""),
            (
                (row["name"], row["check"], row["state"], "new batches" if row["current"] else "")
                for row in rows
            ),
        )
    return 0


def _state(own: str | None, stored: str | None) -> str:
    if own is None:
        return "missing"
    if stored is None:
        return "new"
    return "fits" if own == stored else "wrong"
