"""Reports read back: rows to values, and their words opened. Alike in every store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from app.adapters.storage.rows import from_micros, to_micros
from app.core.model.verdict import VerificationId
from app.core.ports.reports import Report
from app.core.ports.sealing import Sealing

# a look-up a report, because a join of so few rows might be planned as a walk through the whole record
REPORT_COLUMNS: Final = (
    "r.id, r.at, r.channel, r.account, r.message_key, r.recording, r.sealed, r.verification,"
    " (SELECT v.serial FROM verification v WHERE v.id = r.verification LIMIT 1)"
)
_EVER: Final = -(2**63)  # before every time that a column can hold


def earliest(since: datetime | None) -> int:
    """Return the first microsecond that is asked for."""
    return _EVER if since is None else to_micros(since)


def report_of(row: Sequence[Any], sealing: Sealing) -> Report:
    """Return the report of a row of ``REPORT_COLUMNS``. Where it is gone, both recording and words are NULL."""
    number, at, channel, account, key, recording, sealed, verification, serial = row
    plain = b"" if sealed is None else sealing.open(sealed, about=key)
    return Report(
        id=number,
        at=from_micros(at),
        channel=channel,
        account=account,
        recording=recording or "",
        words=(plain or b"").decode(),
        unreadable=plain is None,
        gone=recording is None,
        verification_id=None if verification is None else VerificationId(verification),
        serial=serial,
    )
