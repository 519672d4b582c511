"""What happened, as log lines and as numbers. The caller's thread appends a fact and goes on; the rest is done later.

One verification costs one queue entry on the event loop: counting and rendering happen in the log's own thread.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from app.adapters.bursts import Burst
from app.adapters.clock import SystemClock
from app.adapters.label_values import OTHER, LabelValues
from app.adapters.neighbourhoods import Closeness
from app.adapters.wrong_codes import CloseOnset, UnknownCode, WrongCodeWatch
from app.core.invariants import BREACH_EVENTS
from app.core.model.code import Code
from app.core.model.verdict import Detail, Outcome, Verdict
from app.core.model.verification import VerificationRequest
from app.core.ports.clock import Clock
from app.logs import REQUEST_NUMBER, Logger, Logs, in_letters

ANSWER_BUCKETS_MS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
COMMIT_BUCKETS_MS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
DRAFT_BUCKETS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
_MOST_CHANNELS: Final = 32
_MOST_REASONS: Final = 32
_MOST_EVENTS: Final = 64
_MOST_PAIRS: Final = 256  # of channel and event
BURST: Final = "wrong_code_burst"
CLOSE: Final = "neighbourhood_burst"
_INFO: Final = 20
_WARNING: Final = 30


@dataclass(slots=True)
class Histogram:
    """Counts of values by upper bound, and their sum; ``counts`` has one more entry, for values above every bound."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def note(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Tallies:
    """Numbers since the start of the process; read them through :meth:`ServiceJournal.tallies`."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)  # (channel, outcome)
    duplicates: Counter[str] = field(default_factory=Counter)
    wrong_codes: Counter[str] = field(default_factory=Counter)
    neighbourhoods: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(Closeness, 0)))
    queue_rejects: Counter[str] = field(default_factory=Counter)
    answer_ms: dict[str, Histogram] = field(default_factory=dict)
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)  # (channel, reason)
    # an alarm that rings once must have been seen at zero before, or no rate of it ever rises
    failures: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(BREACH_EVENTS.values(), 0)))
    messages: Counter[tuple[str, str]] = field(default_factory=Counter)  # (channel, event)
    commit_ms: Histogram = field(default_factory=lambda: Histogram(COMMIT_BUCKETS_MS))
    commit_drafts: Histogram = field(default_factory=lambda: Histogram(DRAFT_BUCKETS))
    uncounted: int = 0
    lines_dropped: int = 0
    lines_lost: int = 0


class _Answer:
    """One verdict on its way out, waiting to be counted and written; a call does both."""

    __slots__ = ("duplicate", "journal", "number", "request", "took_ms", "verdict")

    def __init__(
        self,
        journal: ServiceJournal,
        request: VerificationRequest,
        verdict: Verdict,
        duplicate: bool,  # noqa: FBT001 - the port's own field, made once a verification
        took_ms: float,
        number: int,
    ) -> None:
        self.journal = journal
        self.request = request
        self.verdict = verdict
        self.duplicate = duplicate
        self.took_ms = took_ms
        self.number = number

    def __call__(self) -> bytes | None:
        return self.journal.note(self)


class ServiceJournal:
    """The ``Journal`` of a running service: one INFO line a verification, numbers for ``/metrics``."""

    def __init__(self, logs: Logs, clock: Clock | None = None) -> None:
        self._logs = logs
        self._clock = clock or SystemClock()
        self.watch: Final = WrongCodeWatch(self._clock.monotonic_s())
        self._log: Logger = logs.logger("journal")
        self._put = logs.writer.put
        self._lines = logs.level <= _INFO
        self._warnings = logs.level <= _WARNING
        self._lock = threading.Lock()  # the label values stand under it, too
        self._tallies = Tallies()
        self._channels = LabelValues(_MOST_CHANNELS)
        self._reasons = LabelValues(_MOST_REASONS)
        self._events = LabelValues(_MOST_EVENTS)
        for event in self._tallies.failures:
            self._events(event)
        self._message_events = LabelValues(_MOST_PAIRS)

    def answered(
        self, request: VerificationRequest, verdict: Verdict, *, duplicate: bool, took_ms: float
    ) -> None:
        """Note one verdict on its way out."""
        if not self._put(_Answer(self, request, verdict, duplicate, took_ms, REQUEST_NUMBER.get())):
            self._tallies.uncounted += 1

    def refused(self, channel: str, reason: str) -> None:
        """Count a request that never became a query; no line, or strangers could fill the disk."""
        with self._lock:
            self._tallies.refusals[self._channels(channel), self._reasons(str(reason))] += 1

    def committed(self, drafts: int, took_ms: float) -> None:
        """Note one group commit."""
        with self._lock:
            self._tallies.commit_drafts.note(drafts)
            self._tallies.commit_ms.note(took_ms)

    def counted(self, event: str, channel: str, number: int = 1) -> None:
        """Count something that happened to a message."""
        with self._lock:
            messages = self._tallies.messages
            key = (self._channels(channel), self._message_events(str(event)))
            known = key in messages or len(messages) < _MOST_PAIRS
            messages[key if known else (OTHER, OTHER)] += number

    def failed(self, event: str, error: BaseException) -> None:
        """Write an unexpected failure with its traceback, masked."""
        with self._lock:
            self._tallies.failures[self._events(event)] += 1
        self._log.error(event, error=type(error).__name__, exc_info=error)

    def tallies(self) -> Tallies:
        """Return the numbers of now; histograms and counters may go on growing in place."""
        writer = self._logs.writer
        tallies = self._tallies
        tallies.lines_dropped, tallies.lines_lost = writer.dropped, writer.lost
        return tallies

    def note(self, answer: _Answer) -> bytes | None:
        """Count one answer and render its line; called by the log's thread."""
        outcome = answer.verdict.outcome.value
        with self._lock:
            onset = self._count(answer, outcome)
            close = () if answer.duplicate else self._count_neighbours(answer)
        line = self._logs.render(self._facts(answer, outcome)) if self._lines else None
        if not (onset or close) or not self._warnings:
            return line
        # rendered here and not logged: this is the log's own thread, which must not feed itself
        lines = line or b""
        head = {"at": self._clock.now(), "level": "warning"}
        if onset is not None:
            about = _burst_facts(answer.request.channel, onset)
            lines += self._logs.render({**head, "event": BURST, **about})
        for one in close:
            lines += self._logs.render({**head, "event": CLOSE, **_close_facts(one)})
        return lines

    def bursts(self) -> dict[str, Burst]:
        """Return how the wrong codes of each channel stand against their baseline now."""
        return self.watch.look(self._clock.monotonic_s())

    def burst_began(self, channel: str, onset: Burst) -> None:
        """Tell of a burst of wrong codes that began over all processes."""
        self._log.warning(BURST, **_burst_facts(channel, onset))

    def close_codes_began(self, onset: CloseOnset) -> None:
        """Count and tell of wrong codes that lie close together over all processes."""
        with self._lock:
            self._tallies.neighbourhoods[onset.closeness] += 1
        self._log.warning(CLOSE, **_close_facts(onset))

    def _count(self, answer: _Answer, outcome: str) -> Burst | None:
        """Count one answer; return the burst of wrong codes that begins with it."""
        onset = None
        tallies, verdict, channel = self._tallies, answer.verdict, self._channels(answer.request.channel)
        tallies.answers[channel, outcome] += 1
        if answer.duplicate:
            tallies.duplicates[channel] += 1
        elif verdict.wrong_code:
            tallies.wrong_codes[channel] += 1
            onset = self.watch.note_wrong(channel, self._clock.monotonic_s())
        if verdict.outcome is Outcome.UNAVAILABLE and Detail.BUSY in verdict.reasons:
            tallies.queue_rejects[channel] += 1
        histogram = tallies.answer_ms.get(channel)
        if histogram is None:
            histogram = tallies.answer_ms[channel] = Histogram(ANSWER_BUCKETS_MS)
            self.watch.note_channel(channel)
        histogram.note(answer.took_ms)
        return onset

    def _count_neighbours(self, answer: _Answer) -> tuple[CloseOnset, ...]:
        """Remember a label's code, or hold a wrong one against those near it; return what begins with it."""
        digits, verdict = answer.request.code.digits, answer.verdict
        if verdict.ordinal is not None:
            self.watch.note_label(digits)
        if verdict.outcome is not Outcome.NOT_FOUND:
            return ()
        code = UnknownCode(channel=self._channels(answer.request.channel), digits=digits)
        close = self.watch.note_unknown(code, self._clock.monotonic_s())
        self._tallies.neighbourhoods.update(one.closeness for one in close)
        return close

    def _facts(self, answer: _Answer, outcome: str) -> dict[str, object]:
        """Return the facts of one line. The texts are ours, masked or digits, never what a stranger wrote."""
        request, verdict = answer.request, answer.verdict
        token, code = request.caller.token, request.code
        return {
            "at": verdict.recorded_at or request.received_at,
            "level": "info",
            "event": "verification",
            "request": self._logs.request_id(answer.number) if answer.number else None,
            "channel": request.channel,
            "outcome": outcome,
            "ordinal": verdict.ordinal,
            "reasons": ",".join(verdict.reasons),
            "code": code.masked(),
            "entry": code.entry,
            "caller": f"{request.caller.kind}:{in_letters(token[:6].hex())}" if token else "unknown",
            "duplicate": answer.duplicate,
            "took_ms": round(answer.took_ms, 2),
        }


def _burst_facts(channel: str, onset: Burst) -> dict[str, object]:
    return {
        "channel": channel,
        "recent": onset.recent,
        "baseline": round(onset.baseline, 1),
        "remedy": "See who asks: somebody guesses codes, or copies are about. It is told once a burst.",
    }


def _close_facts(onset: CloseOnset) -> dict[str, object]:
    return {
        "kind": onset.closeness.value,
        "channel": onset.code.channel,
        "code": Code.parse(onset.code.digits).masked(),
        "remedy": "Several codes close to one label's were tried: somebody makes codes up from a real one.",
    }
