"""The journal's numbers in the Prometheus text format, made when somebody asks and not before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.adapters.journal import Histogram, ServiceJournal
from app.adapters.worker_figures import WorkerFigures

_Labels = TypeVar("_Labels", bound=tuple[str, ...])

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class JournalCollector(Collector):
    """Turns a journal's tallies into metric families. Labels are channel names, outcomes and constant names only."""

    def __init__(self, journal: ServiceJournal, *, version: str) -> None:
        self._journal = journal
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        tallies = self._journal.tallies()
        build = GaugeMetricFamily("yanzhen_build", "The running version.", labels=["version"])
        build.add_metric([self._version], 1)
        yield build
        yield _counter(
            "yanzhen_verifications", "Answers given.", ("channel", "outcome"), dict(tallies.answers)
        )
        yield _counter(
            "yanzhen_refusals", "Requests refused unread.", ("channel", "reason"), dict(tallies.refusals)
        )
        yield _counter(
            "yanzhen_messages", "What happened to messages.", ("channel", "event"), dict(tallies.messages)
        )
        for name, text, counts in (
            ("duplicates", "Retries answered with the stored verdict.", tallies.duplicates),
            ("wrong_codes", "Answers that count as a wrong code.", tallies.wrong_codes),
            ("queue_rejects", "Queries refused because too many waited.", tallies.queue_rejects),
        ):
            yield _counter(
                f"yanzhen_{name}", text, ("channel",), {(key,): n for key, n in dict(counts).items()}
            )
        burst = GaugeMetricFamily(
            "yanzhen_wrong_code_burst",
            "1 while wrong codes are far above their baseline.",
            labels=["channel"],
        )
        for channel, found in sorted(self._journal.bursts().items()):
            burst.add_metric([channel], int(found.on))
        yield burst
        yield _counter(
            "yanzhen_neighbourhood_bursts",
            "Times that several wrong codes lay close together.",
            ("kind",),
            {(kind,): n for kind, n in dict(tallies.neighbourhoods).items()},
        )
        failures = {(event,): n for event, n in dict(tallies.failures).items()}
        yield _counter("yanzhen_failures", "Unexpected failures, by event.", ("event",), failures)
        yield _counter(
            "yanzhen_log_lines_dropped", "Log lines dropped, queue full.", (), {(): tallies.lines_dropped}
        )
        yield _counter(
            "yanzhen_log_lines_lost", "Log lines that could not be written.", (), {(): tallies.lines_lost}
        )
        yield _counter("yanzhen_uncounted_answers", "Answers missing above.", (), {(): tallies.uncounted})
        answer_s = HistogramMetricFamily("yanzhen_answer_seconds", "Time to a verdict.", labels=["channel"])
        for channel, histogram in dict(tallies.answer_ms).items():
            _add(answer_s, [channel], histogram, scale=1e-3)
        yield answer_s
        commit_s = HistogramMetricFamily("yanzhen_commit_seconds", "Time of one group commit.")
        _add(commit_s, [], tallies.commit_ms, scale=1e-3)
        yield commit_s
        drafts = HistogramMetricFamily("yanzhen_commit_verifications", "Verifications sharing one commit.")
        _add(drafts, [], tallies.commit_drafts, scale=1)
        yield drafts


def _counter(name: str, text: str, labels: tuple[str, ...], counts: Mapping[_Labels, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, number in sorted(counts.items()):
        family.add_metric(values, number)
    return family


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram, *, scale: float) -> None:
    sums = list(accumulate(histogram.counts))
    bounds = [f"{bound * scale:g}" for bound in histogram.bounds] + ["+Inf"]
    family.add_metric(labels, list(zip(bounds, sums, strict=True)), histogram.total * scale)


class PrometheusMetrics:
    """Everything ``/metrics`` shows: the journal's numbers, the process, the interpreter.

    With ``figures`` it shows the sum over all workers, and :meth:`publish` is to be called every second.
    """

    def __init__(
        self, journal: ServiceJournal, *, version: str, figures: WorkerFigures | None = None
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(JournalCollector(journal, version=version))
        self._registry.register(_Workers())
        self._figures = figures
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def include(self, collector: Collector) -> None:
        """Show further numbers."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """Return the exposition in Prometheus text format 0.0.4. Blocking, where there are several workers."""
        if self._figures is None:
            return generate_latest(self._registry)
        self.publish()
        total = CollectorRegistry()
        total.register(_Given(self._figures.total()))
        return generate_latest(total)

    def publish(self) -> None:
        """Let the other workers see the numbers of this one. Blocking. Raises ``OSError``."""
        if self._figures is not None:
            self._figures.publish(self._registry.collect())


class _Given(Collector):
    """Numbers that are collected already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._metrics


class _Workers(_Given):
    """How many processes the numbers are of: each is one, and gauges of workers are added up."""

    def __init__(self) -> None:
        super().__init__([GaugeMetricFamily("yanzhen_workers", "Processes that serve here.", value=1)])
