"""The time a provider gives a message, in aware UTC whatever way it is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from channels.sms.gateway.description import TimeForm, TimeWriting

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_USUAL_PATTERN: Final = "%Y-%m-%d %H:%M:%S"
_USUAL: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DIGITS: Final = re.compile(r"[0-9]{1,16}")


def read_moment(raw: object, writing: TimeWriting, default_zone: ZoneInfo) -> datetime:
    """Return the instant in UTC. Raises ``ValueError`` for what is not written as it should be.

    A local time that occurs twice, when clocks go back, is read as the first of the two.
    """
    try:
        if writing.form in {TimeForm.UNIX_SECONDS, TimeForm.UNIX_MILLISECONDS}:
            per_second = 1 if writing.form is TimeForm.UNIX_SECONDS else 1000
            return _EPOCH + timedelta(milliseconds=_whole(raw) * (1000 // per_second))
        if not isinstance(raw, str):
            raise ValueError("a time must be a text")  # noqa: TRY004 - one error for all that is unreadable
        written = raw.strip()
        zone = writing.zone or default_zone
        if writing.form is TimeForm.ISO:
            if ":" not in written:
                raise ValueError("a date alone is no time")
            moment = datetime.fromisoformat(written)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
        # a batch holds hundreds, and strptime takes sixteen times as long
        if writing.pattern == _USUAL_PATTERN and _USUAL.fullmatch(written):
            return (
                datetime.fromisoformat(written).replace(tzinfo=zone).astimezone(UTC)
            )  # a thirtieth of the time
        return datetime.strptime(written, writing.pattern).replace(tzinfo=zone).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time beyond the calendar") from error


def _whole(raw: object) -> int:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        if not 0 <= raw < 10**16:
            raise ValueError("a time beyond the calendar")
        return raw
    if isinstance(raw, str) and _DIGITS.fullmatch(raw.strip()):
        return int(raw)
    raise ValueError("a time must be a number")
