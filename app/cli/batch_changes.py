"""What `batch activate`, `void` and `expire` share: the serial range and how a change is told."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from app.cli.context import in_workshop
from app.cli.fields import reason
from app.cli.output import write_json, write_line, write_notice
from app.core.model.label import BatchId

if TYPE_CHECKING:
    from app.issuing.life_cycle import LabelLifeCycle, StatesChanged


def add_range(parser: argparse.ArgumentParser) -> None:
    """Declare the range and the reason."""
    parser.add_argument(
        "--from", dest="first", type=int, metavar="SERIAL", help="first serial (the batch's first)"
    )
    parser.add_argument(
        "--to", dest="last", type=int, metavar="SERIAL", help="last serial (the batch's last)"
    )
    parser.add_argument("--reason", default="", type=reason, help="why; kept with the change")


def change_range(
    arguments: argparse.Namespace,
    step: Callable[[LabelLifeCycle], Callable[..., Awaitable[StatesChanged]]],
) -> int:
    """Apply one step of the life cycle to the range given by the flags."""
    changed = in_workshop(
        arguments,
        lambda workshop: step(workshop.life_cycle())(
            BatchId(arguments.batch), first=arguments.first, last=arguments.last, reason=arguments.reason
        ),
    )
    return show_change(arguments, changed)


def show_change(arguments: argparse.Namespace, changed: StatesChanged) -> int:
    """Print what was changed."""
    if changed.revived:
        write_notice(f"Warning: {changed.revived:,} of these labels had been voided and are alive again.")
    if arguments.json:
        write_json({"state": changed.state, "labels": changed.labels, "revived": changed.revived})
    else:
        ranges = ", ".join(
            f"{c.first_serial} to {c.last_serial} (batch {c.batch_id})" for c in changed.changes[:5]
        )
        more = f" and {len(changed.changes) - 5:,} more ranges" if len(changed.changes) > 5 else ""
        write_line(f"{changed.labels:,} label(s) are {changed.state.value} now: {ranges}{more}.")
    return 0
