import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.adapters.worker_figures import WorkerFigures, bury


def metrics(count: int, *, memory: int = 100, born: int = 50, burst: int = 0) -> list[Metric]:
    answers = CounterMetricFamily("answers", "Answers.", labels=["channel"])
    answers.add_metric(["api"], count)
    took = HistogramMetricFamily("took_seconds", "Time.")
    took.add_metric([], [("0.1", count), ("+Inf", count + 1)], 0.5 * count)
    return [
        answers,
        took,
        GaugeMetricFamily("process_resident_memory_bytes", "Memory.", value=memory),
        GaugeMetricFamily("process_start_time_seconds", "Start.", value=born),
        GaugeMetricFamily("burst", "Burst.", value=burst),
        GaugeMetricFamily("yanzhen_workers", "Workers.", value=1),
    ]


class Given(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self.metrics


def shown(figures: WorkerFigures) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(Given(figures.total()))
    lines = generate_latest(registry).decode().splitlines()
    return {
        name: float(number)
        for name, _, number in (line.rpartition(" ") for line in lines if not line.startswith("#"))
    }


def test_counters_add_up_and_gauges_are_joined_each_in_its_way(tmp_path: Path) -> None:
    one, two = WorkerFigures(tmp_path, "1-10"), WorkerFigures(tmp_path, "2-11")
    one.publish(metrics(3, memory=100, born=50))
    two.publish(metrics(4, memory=200, born=60, burst=1))
    assert shown(one) == shown(two)
    assert shown(one) == {
        'answers_total{channel="api"}': 7,
        'took_seconds_bucket{le="0.1"}': 7,
        'took_seconds_bucket{le="+Inf"}': 9,
        "took_seconds_count": 9,
        "took_seconds_sum": 3.5,
        "process_resident_memory_bytes": 300,
        "process_start_time_seconds": 50,
        "burst": 1,
        "yanzhen_workers": 2,
    }


def test_what_a_worker_counted_outlives_it_and_what_it_was_does_not(tmp_path: Path) -> None:
    one = WorkerFigures(tmp_path, "1-10")
    one.publish(metrics(3))
    for pid in (11, 12, 13):
        name = f"2-{pid}"
        WorkerFigures(tmp_path, name).publish(metrics(4, memory=200, burst=1))
        bury(tmp_path, name)
    bury(tmp_path, "2-14")  # died before it had counted anything
    numbers = shown(one)
    assert numbers['answers_total{channel="api"}'] == 15
    assert numbers["took_seconds_count"] == 19
    assert numbers["process_resident_memory_bytes"] == 100
    assert (numbers["burst"], numbers["yanzhen_workers"]) == (0, 1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1-10.json", "gone.json"]
    assert len(json.loads((tmp_path / "gone.json").read_text())["names"]) == 1, (
        "it does not grow with the dead"
    )


@pytest.mark.parametrize("stage", ["before", "kept", "removed"])
def test_no_total_falls_or_doubles_while_a_worker_is_buried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Whoever adds up meanwhile sees the dead worker's file or what was kept of it, never both and never neither."""
    one = WorkerFigures(tmp_path, "1-10")
    one.publish(metrics(3))
    WorkerFigures(tmp_path, "2-11").publish(metrics(4))
    seen: list[float] = []
    glob, unlink = Path.glob, Path.unlink

    def look() -> None:
        seen.append(shown(one)['answers_total{channel="api"}'])

    def glob_while_buried(self: Path, pattern: str) -> Iterator[Path]:
        monkeypatch.setattr(Path, "glob", glob)
        if stage == "before":
            bury(tmp_path, "2-11")
        found = list(glob(self, pattern))
        if stage == "removed":
            bury(tmp_path, "2-11")
        return iter(found)

    def unlink_seen(self: Path) -> None:
        look()
        unlink(self)

    def during(name: str, replacement: Callable[..., object]) -> None:
        monkeypatch.setattr(Path, name, replacement)

    if stage == "kept":
        during("unlink", unlink_seen)
        bury(tmp_path, "2-11")
    else:
        during("glob", glob_while_buried)
    look()
    assert set(seen) == {7}


def test_a_folder_that_is_gone_is_an_error_of_the_system(tmp_path: Path) -> None:
    figures = WorkerFigures(tmp_path / "none", "1-10")
    with pytest.raises(OSError, match="none"):
        figures.publish(metrics(1))
