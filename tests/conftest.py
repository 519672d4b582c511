"""What every test starts from: no YANZHEN_* setting of the machine, a test budget, a system Chromium.

Tests in tests/unit and tests/contract open no network socket; one that must has the mark enable_socket.
"""

import gc
import os
import shutil
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings

from tests.proof.harness import prove, pytest_addoption, pytest_configure

__all__ = ["prove", "pytest_addoption", "pytest_configure"]

Budget = Literal["short", "long"]

_SOCKETS_OFF = ("tests/unit/", "tests/contract/")
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def _read_budget() -> Budget:
    text = os.environ.get("YANZHEN_TEST_BUDGET", "short")
    if text not in ("short", "long"):
        message = f"YANZHEN_TEST_BUDGET is {text!r}: use short or long"
        raise pytest.UsageError(message)
    return "long" if text == "long" else "short"


# At import, so that child processes of the tests start as clean as the tests themselves.
for _name in [name for name in os.environ if name.startswith("YANZHEN_")]:
    if not _name.startswith("YANZHEN_TEST_"):
        del os.environ[_name]

# Shared CI machines stall for seconds, so no example has a deadline; the test as a whole has a timeout.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile(
    "short", derandomize=True, database=None, deadline=None, print_blob=True, suppress_health_check=_SLOW
)
settings.register_profile(
    "long", max_examples=5_000, deadline=None, print_blob=True, suppress_health_check=_SLOW
)
settings.load_profile(_read_budget())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    long = _read_budget() == "long"
    kept: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        if item.nodeid.startswith(_SOCKETS_OFF) and item.get_closest_marker("enable_socket") is None:
            item.add_marker("disable_socket")
        (kept if long or item.get_closest_marker("long") is None else deselected).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = kept


def pytest_collection_finish() -> None:
    """Spare the collector, and tests that call it, the million objects that live as long as the run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def budget() -> Budget:
    """`short` in `make test`, `long` in `make proof`: heavy tests take their counts from it."""
    return _read_budget()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the machine's Chromium, never a downloaded one; a machine without it fails loudly."""
    for name in _CHROMIUM_NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.fail("no Chromium is installed: run `make browser` as root, or install the package chromium")
