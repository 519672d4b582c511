"""The fixture of a telephone: makes calls in a folder of the test. All such tests of a run share one worker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.ivr.telephony import CallResult, call

Dial = Callable[..., Coroutine[Any, Any, CallResult]]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and {"dial", "calls"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("telephony"))


@pytest.fixture
def dial(tmp_path: Path) -> Dial:
    """`await dial(voice_url, token, [script])` makes one call; see telephony.call for the rest."""
    return partial(call, folder=tmp_path / "call")
