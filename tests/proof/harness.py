"""What a harness counted, told in one line at the end of the run: `prove` in a test, the lines by pytest.

A count of zero proves nothing and a breach disproves, so both fail the test that tells of them. A run that wants every
harness also fails where one was not run, or counted less than it must.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import pytest

Harness = Literal[
    "power loss", "planted control", "schedules", "fuzz", "canaries", "I/O faults", "timing", "many machines"
]
Prove = Callable[..., None]

_PROPERTY: Final = "proof"
_ALL: Final = "--all-harnesses"
_LEAST: Final[Mapping[Harness, Mapping[str, int]]] = {
    "power loss": {"crashes": 5_000, "cluster_kills": 1},
    "schedules": {"schedules": 5_000},
    "timing": {"samples": 100_000},
    "canaries": {"planted": 1_000},
}


@pytest.fixture
def prove(request: pytest.FixtureRequest) -> Prove:
    """Return ``prove(harness, breaches={"lost": 0}, crashes=5000, verdicts=...)``: call it last, with all counts."""

    def tell(harness: Harness, *, breaches: Mapping[str, int] | None = None, **counted: int) -> None:
        assert harness in get_args(Harness)
        assert counted, "a harness that counts nothing proves nothing"
        told = {
            "harness": harness,
            "counted": counted,
            "breaches": dict(breaches or {}),
            "test": request.node.nodeid,
        }
        request.node.user_properties.append((_PROPERTY, told))
        assert not any(told["breaches"].values()), told
        assert all(counted.values()), told

    return tell


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(_ALL, action="store_true", help="fail unless every harness counted what it must")


class Lines:
    """Gathers what every test told, also from other processes."""

    def __init__(self, *, complete: bool) -> None:
        self._complete = complete
        self._counted: dict[str, Counter[str]] = {}
        self._breaches: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, told in report.user_properties:
            if name == _PROPERTY:
                self._add(told)  # type: ignore[arg-type]

    def _add(self, told: dict[str, Any]) -> None:
        self._counted.setdefault(told["harness"], Counter()).update(told["counted"])
        self._breaches.setdefault(told["harness"], Counter()).update(told["breaches"])

    @property
    def _missing(self) -> list[str]:
        """Return a line for each harness that was not run, and for each count that is too small."""
        if not self._complete:
            return []
        silent = [f"{name}: NOTHING COUNTED" for name in get_args(Harness) if name not in self._counted]
        few = [
            f"{name}: ONLY {self._counted[name][what]:,} {what.replace('_', ' ')}, AND NOT {least:,}"
            for name, leasts in _LEAST.items()
            if name in self._counted
            for what, least in leasts.items()
            if self._counted[name][what] < least
        ]
        return silent + few

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._counted and not self._missing:
            return
        terminalreporter.section("proof")
        for name in get_args(Harness):
            if name in self._counted:
                said = [
                    f"{number:,} {what.replace('_', ' ')}" for what, number in self._counted[name].items()
                ]
                said += [
                    f"{number:,} {what.replace('_', ' ')}" for what, number in self._breaches[name].items()
                ]
                terminalreporter.line(f"{name}: {', '.join(said)}")
        for line in self._missing:
            terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Lines(complete=config.getoption(_ALL)), "proof-lines")
