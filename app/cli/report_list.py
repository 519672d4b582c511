"""`yanzhen report list`: the one place where the words of reports are shown."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from app.cli.context import add_json, in_workshop
from app.cli.fields import moment, up_to
from app.cli.output import write_json, write_notice, write_table

if TYPE_CHECKING:
    from app.core.model.catalogue import Catalogue
    from app.core.model.label import CodeBatch
    from app.core.ports.reports import Report

_MOST: Final = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--since", type=moment, metavar="DATE", help="only reports from this day on (UTC), as in 2026-11-21"
    )
    parser.add_argument(
        "--limit", type=up_to(_MOST), default=100, metavar="N", help="at most so many, the newest (100)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what people reported, the newest first; never by whom."""
    from app.bootstrap.report_reading import ReportsRead, read_reports
    from app.bootstrap.workshop import Workshop

    async def read(workshop: Workshop) -> ReportsRead:
        return await read_reports(workshop, since=arguments.since, limit=arguments.limit)

    told = in_workshop(arguments, read)
    if arguments.json:
        write_json([_as_json(report, _batch_of(report, told.catalogue)) for report in told.reports])
    else:
        header = ("TIME (UTC)", "CHANNEL", "VERIFICATION", "SERIAL", "BRAND", "PRODUCT", "TOLD")
        write_table(header, (_row(report, _batch_of(report, told.catalogue)) for report in told.reports))
    if any(report.unreadable for report in told.reports):
        write_notice(
            told.trouble
            or "Some words were sealed under keys that are not in the key file any more. Restore"
            " the newest backup of the key file."
        )
    return 0


def _batch_of(report: Report, catalogue: Catalogue) -> CodeBatch | None:
    return None if report.serial is None else catalogue.batch_of(report.serial)


def _row(report: Report, batch: CodeBatch | None) -> tuple[object, ...]:
    return (
        report.at,
        f"{report.channel} {report.account}",
        report.verification_id,
        report.serial,
        batch.product.brand.name if batch else "",
        batch.product.name if batch else "",
        _told(report),
    )


def _told(report: Report) -> str:
    """Return the words, where the recording is, or why there is neither."""
    if report.gone:
        return "(dropped: 90 days are over, or its reporter was erased)"
    if report.unreadable:
        return "(sealed: the key file does not open it)"
    recording = f"(recording at {report.account}: {report.recording})" if report.recording else ""
    return " ".join(part for part in (report.words, recording) if part)


def _as_json(report: Report, batch: CodeBatch | None) -> dict[str, object]:
    brand = batch.product.brand if batch else None
    return {
        "id": report.id,
        "at": report.at,
        "channel": report.channel,
        "account": report.account,
        "verification": report.verification_id,
        "serial": report.serial,
        "batch": batch.id if batch else None,
        "brand": {"id": brand.id, "name": brand.name} if brand else None,
        "product": {"id": batch.product.id, "name": batch.product.name} if batch else None,
        "words": report.words or None,
        "recording": report.recording or None,
        "unreadable": report.unreadable,
        "gone": report.gone,
    }
