"""Numbers of several workers as one: each writes its own to a file in a folder they share, whoever is asked adds up.

What was shown once stands in a file before it is shown, and what a worker that is gone had counted stays counted, so
no total ever falls.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

import orjson
from prometheus_client.core import Metric

_GONE: Final = "gone.json"
_TRIES: Final = 10
_SUMMED_GAUGES: Final = frozenset(
    {
        *("yanzhen_workers", "yanzhen_redis_up"),
        *(
            "process_virtual_memory_bytes",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
        ),
    }
)
_OLDEST: Final = "process_start_time_seconds"
_GAUGES: Final = frozenset({"gauge", "info", "unknown", "stateset"})

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class _Family:
    """One family of numbers, as in the exposition: kind, help, and each sample by its name and labels."""

    kind: str
    text: str
    samples: dict[_Key, float] = field(default_factory=dict)


_Families = dict[str, _Family]


class WorkerFigures:
    """The numbers of one worker, ``name`` (unlike any other's), beside those of the others in ``folder``."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._file = folder / f"{name}.json"
        self._writing = Lock()

    def publish(self, metrics: Iterable[Metric]) -> None:
        """Write this worker's numbers. Blocking. Raises ``OSError``."""
        with self._writing:  # the later numbers must stand there last
            _write(self._file, {"families": _document(_read_metrics(metrics))})

    def total(self) -> list[Metric]:
        """Return the numbers of all workers, those gone included, as one service's. Blocking. Raises ``OSError``."""
        for _ in range(_TRIES):
            gone = _read(self._folder / _GONE)
            names = set(gone.get("names", ()))
            found = [gone]
            try:
                files = [file for file in self._folder.glob("*.json") if file.name != _GONE]
                found += [_read(file, missing=False) for file in files if file.stem not in names]
            except FileNotFoundError:
                continue
            if set(_read(self._folder / _GONE).get("names", ())) == names:
                return _metrics(_merge(_families(document) for document in found))
        raise FileNotFoundError(2, "the numbers of the workers do not hold still", str(self._folder))


def bury(folder: Path, name: str) -> None:
    """Keep what worker ``name`` counted, once its process is surely gone. One caller at a time. Raises ``OSError``."""
    file = folder / f"{name}.json"
    left = _families(_read(file))
    if not left:
        return
    gone = _read(folder / _GONE)
    counted = {key: one for key, one in left.items() if one.kind not in _GAUGES}
    families = _merge((_families(gone), counted))
    there = {known for known in gone.get("names", ()) if (folder / f"{known}.json").exists()}
    _write(folder / _GONE, {"names": sorted(there | {name}), "families": _document(families)})
    with suppress(FileNotFoundError):
        file.unlink()


def _merge(all_families: Iterable[_Families]) -> _Families:
    merged: _Families = {}
    for families in all_families:
        for name, family in families.items():
            into = merged.setdefault(name, _Family(family.kind, family.text))
            for key, number in family.samples.items():
                known = into.samples.get(key)
                into.samples[key] = number if known is None else _join(name, family.kind, known, number)
    return merged


def _join(name: str, kind: str, one: float, other: float) -> float:
    if kind not in _GAUGES or name in _SUMMED_GAUGES:
        return one + other
    return min(one, other) if name == _OLDEST else max(one, other)


def _read_metrics(metrics: Iterable[Metric]) -> _Families:
    families: _Families = {}
    for metric in metrics:
        family = families.setdefault(metric.name, _Family(metric.type, metric.documentation))
        for sample in metric.samples:
            family.samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return families


def _metrics(families: _Families) -> list[Metric]:
    metrics = []
    for name, family in families.items():
        metric = Metric(name, family.text, family.kind)
        for (sample, labels), number in family.samples.items():
            metric.add_sample(sample, dict(labels), number)
        metrics.append(metric)
    return metrics


def _document(families: _Families) -> list[list[Any]]:
    return [
        [
            name,
            one.kind,
            one.text,
            [[sample, labels, number] for (sample, labels), number in one.samples.items()],
        ]
        for name, one in families.items()
    ]


def _families(document: Mapping[str, Any]) -> _Families:
    return {
        name: _Family(
            kind,
            text,
            {
                (sample, tuple((key, value) for key, value in labels)): number
                for sample, labels, number in rows
            },
        )
        for name, kind, text, rows in document.get("families", ())
    }


def _read(file: Path, *, missing: bool = True) -> dict[str, Any]:
    try:
        document: dict[str, Any] = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        if not missing:
            raise
        return {}
    return document


def _write(file: Path, document: Mapping[str, Any]) -> None:
    """Replace a file at once, so that no reader ever sees half of it. Not synced: it need not outlive the machine."""
    waiting = file.with_suffix(f".{os.getpid()}")
    waiting.write_bytes(orjson.dumps(document))
    waiting.replace(file)
