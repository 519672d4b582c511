"""Telephones that make calls, and the real hotline that they call. All such tests of a run share one worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.acceptance.ivr.callbacks import Telephone, telephone
from tests.acceptance.ivr.history import Past, live_through
from tests.acceptance.ivr.hotline import PUBLIC, Hotline, HotlineShell, prepare
from tests.acceptance.ivr.telephony import CallResult, call
from tests.fakes.clips import copy_rendered_clips

Dial = Callable[..., Coroutine[Any, Any, CallResult]]
HERE = Path(__file__).parent
SHARED = {"dial", "calls", "hotline", "past", "phone"}


@pytest.hookimpl(tryfirst=True)  # before the groups become part of the names
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and SHARED & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("telephony"))
            item.add_marker(pytest.mark.timeout(400))  # the first waits for clips and nine days


@pytest.fixture
def dial(tmp_path: Path) -> Dial:
    """`await dial(voice_url, token, [script])` makes one call; see telephony.call for the rest."""
    return partial(call, folder=tmp_path / "call")


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A prepared folder with nine days behind it, which nobody serves."""
    folder = tmp_path_factory.mktemp("hotline") / "data"
    copy_rendered_clips(tmp_path_factory, folder)
    return live_through(prepare(folder))


@pytest.fixture(scope="session")
def hotline(past: Past) -> Iterator[Hotline]:
    """The real service as shoppers meet it, in a process of its own, with what it remembers."""
    with HotlineShell(past.hotline.folder).serving() as server:
        past.hotline.origins[PUBLIC] = server.url
        yield past.hotline


@pytest_asyncio.fixture
async def phone(hotline: Hotline) -> AsyncIterator[Telephone]:
    """A telephone whose calls take no time."""
    async with telephone(hotline) as made:
        yield made
