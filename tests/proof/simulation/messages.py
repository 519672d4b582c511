"""Messages and their deliveries, as the outside world sees them: what was sent, what came back, what a phone got."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from app.core.model.verdict import Outcome, Verdict
from tests.proof.simulation.loop import Life


class Wish(Enum):
    """What a message is about."""

    CODE = "code"
    UNKNOWN = "unknown"
    SLIP = "slip"
    STOP = "stop"
    START = "start"


@dataclass(slots=True, eq=False)
class Said:
    """A text on its way to a person, with its moment. ``heard``: it certainly got there."""

    text: str
    at_s: float
    pushed: bool
    heard: bool
    reply: int = 0


@dataclass(slots=True, eq=False)
class Message:
    """One message of a person. ``key`` is what the service knows it by, ``token`` its caller."""

    number: int
    channel: str
    caller: int
    wish: Wish
    text: str
    label: int
    key: bytes
    token: bytes
    message_id: str
    sent_s: float
    accepted_s: float | None = None
    gone: bool = False  # its provider has given it up
    deliveries: list[Delivery] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    verdicts: list[tuple[float, Verdict]] = field(default_factory=list)
    counted: list[Delivery] = field(default_factory=list)
    words: dict[Verdict, str] = field(default_factory=dict)

    def known(self, since_s: float, until_s: float) -> bool:
        """Tell whether the service had an answer to it all that time, which it may not judge anew."""
        first: dict[Verdict, float] = {}
        for at_s, verdict in self.verdicts:
            first.setdefault(verdict, at_s)  # given again, it is not kept longer
        return any(
            at_s <= since_s and until_s < at_s + _kept_s(verdict)
            for verdict, at_s in first.items()
            if verdict.outcome is not Outcome.UNAVAILABLE
        )

    @property
    def throttled(self) -> bool:
        return any(verdict.outcome is Outcome.THROTTLED for _, verdict in self.verdicts)


@dataclass(slots=True, eq=False)
class Delivery:
    """One time that a message was brought to a machine."""

    message: Message
    number: int
    sent_s: float
    life: Life | None = None
    arrived_s: float = 0.0
    ended_s: float | None = None
    cancelled: bool = False
    problems: list[str] = field(default_factory=list)

    def count(self, now_s: float) -> None:
        """Note that the limits were asked, and what is wrong with that."""
        message = self.message
        if message.known(self.arrived_s, now_s):
            self.problems.append(f"{self} was counted by the limits though it had been answered")
        for other in message.counted:
            under_way = other.ended_s is None and not other.cancelled and other.life is self.life
            if under_way and self.life is not None and not self.life.crashed:
                self.problems.append(f"{self} was counted by the limits beside {other}")
        message.counted.append(self)

    def __str__(self) -> str:
        return f"{self.message.channel}/{self.message.number}.{self.number}"


def _kept_s(verdict: Verdict) -> float:
    """Return how long an answer is certainly kept."""
    if verdict.outcome is Outcome.THROTTLED:
        return verdict.retry_after_s - 1.0
    return 590.0 if verdict.outcome is Outcome.MISTYPED else float("inf")
