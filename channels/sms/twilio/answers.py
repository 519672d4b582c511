"""What Twilio's REST API answers, as plain values, and what each answer means for a reply that is owed."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from app.core.model.value import value
from channels.abilities import Deferred, Rejected, Unknown

_WORDS: Final = {  # Twilio's error codes, in its API error directory
    21211: "invalid_number",
    21217: "invalid_number",
    21614: "invalid_number",
    21610: "opted_out",
    21408: "region_not_enabled",
    21612: "no_route",
    21606: "sender_not_ours",
    21212: "sender_not_ours",
    21603: "sender_not_ours",
    21659: "sender_not_ours",
    21660: "sender_not_ours",
    21617: "text_too_long",
    21609: "callback_address_refused",
    21608: "trial_account",
}
_QUEUE_FULL: Final = 21611
_NEVER_CONNECTED: Final = frozenset(
    {errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}
)
_USUAL_WAIT_S: Final = 5.0
_OPERATOR_WAIT_S: Final = 60.0  # nothing changes before somebody changes a setting
_LONGEST_WAIT_S: Final = 3600.0


@value
class SentMessage:
    """One message as Twilio lists it; ``direction`` in its words, ``created_at`` aware UTC."""

    sid: str
    body: str
    direction: str
    created_at: datetime | None


class CallRefused(Exception):
    """Twilio answered with a status other than success. Holds figures alone: its sentences quote numbers."""

    def __init__(self, *, status: int, code: int = 0, retry_after_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}, code {code}")
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class AnswerUnreadable(Exception):
    """Twilio answered with success, but not with a message."""


def read_retry_after(header: str) -> float | None:
    """Return the seconds of a ``Retry-After`` header (RFC 9110, section 10.2.3); None for a date or nothing."""
    seconds = header.strip()
    if not (seconds.isascii() and seconds.isdecimal()):
        return None
    return min(max(float(seconds[:6]), 1.0), _LONGEST_WAIT_S)


def meaning_of_refusal(refused: CallRefused) -> Rejected | Deferred | Unknown:
    """Return what a status means for the message that was to be sent."""
    status, wait_s = refused.status, refused.retry_after_s
    if refused.code == _QUEUE_FULL:
        return Deferred(why="queue_full", after_s=wait_s or 30.0)
    if status == 429:
        return Deferred(why="too_many", after_s=wait_s or _USUAL_WAIT_S)
    if status == 503:
        return Deferred(why="provider_unavailable", after_s=wait_s or _USUAL_WAIT_S)
    if status == 401:
        return Deferred(why="credentials", after_s=_OPERATOR_WAIT_S)
    if 300 <= status < 400:
        return Deferred(why="redirected", after_s=_OPERATOR_WAIT_S)
    if (
        status in {403, 404} and refused.code not in _WORDS
    ):  # suspended, closed or mistyped: the account, not the text
        return Deferred(why="account", after_s=_OPERATOR_WAIT_S)
    if 400 <= status < 500 and status != 408:
        return Rejected(why=_WORDS.get(refused.code, "refused"))
    return Unknown(why="provider_error")


def meaning_of_failure(error: BaseException) -> Deferred | Unknown:
    """Return what a call means that brought no answer: certainly not taken only where no connection came about."""
    if isinstance(error, TimeoutError):
        return Unknown(why="no_answer_in_time")
    if any(_never_connected(one) for one in _chain(error)):
        return Deferred(why="not_connected", after_s=_USUAL_WAIT_S)
    return Unknown(why="answer_lost")


def _never_connected(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror | ssl.SSLCertVerificationError):
        return True
    return isinstance(error, OSError) and error.errno in _NEVER_CONNECTED


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what caused it, at most five deep."""
    one: BaseException | None = error
    for _ in range(5):
        if one is None:
            return
        yield one
        one = one.__cause__
