"""Is this delivery new, or one that the message centre brings again? SMPP 3.4 gives a text neither an id nor a time.

Both mistakes hurt a little, so what is known decides: while the process lives, a delivery is brought again until the
centre has certainly got our acknowledgement; after a restart, an equal text within 5 minutes counts as brought again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.core.model.value import value
from channels.base import Clock
from channels.sms.digests import text_digest

# What can go wrong, so that nobody has to find it out:
# - After a restart (or on a second process with the same account) a person who sends the same text again within 5 to 10
#   minutes gets the stored answer of the first instead of a new ordinal. That is how an own repeat is worded anyway.
# - A text that was recorded just before a crash and is brought again more than 5 to 10 minutes later counts twice.
# - A centre that loses our acknowledgement after it has taken it in brings a text that counts twice.
_WIDTH_S: Final = 600
_PROMPT_S: Final = (
    5.0  # an acknowledgement that took longer may have come after the centre's own timer ran out
)
_BROUGHT_AGAIN_S: Final = 6 * 3600.0
_MOST: Final = 20_000


@value
class Arrival:
    """One message as such: when it was first brought, and how many equal ones are known to have been settled before."""

    moment: datetime
    again: int


@dataclass(slots=True)
class _Met:
    arrival: Arrival
    met_s: float
    settled: bool = False
    prompt: bool = False


class Arrivals:
    """The deliveries of the last hours, in memory, by a digest of everything a delivery tells."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._met: OrderedDict[str, _Met] = OrderedDict()

    def meet(self, content: str) -> Arrival:
        """Return which message a delivery with this content is: a new one, or one that came before."""
        met = self._met.get(content)
        now_s = self._clock.monotonic_s()
        if met is not None and not met.settled and now_s - met.met_s < _BROUGHT_AGAIN_S:
            return met.arrival
        again = 0 if met is None else met.arrival.again + 1
        arrival = Arrival(moment=self._clock.now(), again=again)
        self._met[content] = _Met(arrival, now_s)
        self._met.move_to_end(content)
        if len(self._met) > _MOST:
            self._met.popitem(last=False)
        return arrival

    def acknowledge(self, content: str, *, took_s: float) -> None:
        """Note that an acknowledgement was written, ``took_s`` seconds after the delivery came."""
        if content in self._met:
            self._met[content].prompt = took_s <= _PROMPT_S

    def settle(self, content: str) -> None:
        """Note that the centre has got the acknowledgement: an equal delivery after this is another message."""
        met = self._met.get(content)
        if met is not None and met.prompt:
            met.settled = True


def message_ids(content: str, arrival: Arrival) -> tuple[str, str]:
    """Return two ids of a message. Moments are put in two grids of 10 minutes, half of one apart: two of one message
    that are less than 5 minutes apart share an id, two that are more than 10 apart share none.
    """
    second = int(arrival.moment.timestamp())
    early, late = second // _WIDTH_S, (second + _WIDTH_S // 2) // _WIDTH_S
    return (
        text_digest(content, str(arrival.again), f"early {early}"),
        text_digest(content, str(arrival.again), f"late {late}"),
    )
