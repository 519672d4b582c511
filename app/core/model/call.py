"""How a telephone call ended; a call itself is only ever a key under which its record is kept."""

from __future__ import annotations

from enum import StrEnum


class CallEnd(StrEnum):
    """The end of a call, as the provider tells it or as our side of the line saw it.

    ``COMPLETED`` came to its end, ``HUNG_UP`` was broken off by the caller where that is told apart, ``TRANSFERRED``
    was handed back to a switch to be put through, ``STOPPED`` was cut short by the end of the service, ``FAILED`` by a
    fault. ``BUSY``, ``NO_ANSWER`` and ``CANCELED`` were never answered.
    """

    COMPLETED = "completed"
    HUNG_UP = "hung_up"
    TRANSFERRED = "transferred"
    STOPPED = "stopped"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELED = "canceled"
    FAILED = "failed"
