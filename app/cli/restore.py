"""`yanzhen restore`."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.cli.context import add_json, settings_of
from app.cli.exits import Exit
from app.cli.output import write_json, write_line, write_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a backup by `yanzhen backup`")
    parser.add_argument(
        "--verify", action="store_true", help="first read every row, and see that the key file fits"
    )
    parser.add_argument(
        "--verify-only", action="store_true", help="look at it as --verify does and restore nothing"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Put a backup in place of nothing: a database that is there is never written over."""
    from app.bootstrap.backups import restore

    settings = settings_of(arguments)
    verify = arguments.verify or arguments.verify_only
    done = restore(settings, arguments.file, verify=verify, keep=not arguments.verify_only)
    if arguments.json:
        checks = [{"check": check.name, "ok": check.ok, "text": check.text} for check in done.checks]
        created_at = done.manifest.created_at
        write_json({"ok": done.ok, "restored": done.restored, "created_at": created_at, "checks": checks})
    else:
        rows = ((check.name, "ok" if check.ok else "failed", check.text) for check in done.checks)
        write_table(("CHECK", "STATE", ""), rows)
        write_line()
        if done.restored:
            write_line(
                f"Restored as of {done.manifest.created_at}. What was checked or issued later is not in it:"
            )
            write_line("read docs/operations.md, Backups, before anything is issued. Then: yanzhen doctor")
        else:
            write_line(
                "This backup can be restored." if done.ok else "Something is wrong; nothing was restored."
            )
    return Exit.OK if done.ok else Exit.REFUSED
