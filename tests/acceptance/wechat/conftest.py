"""One data folder with labels for all tests of a module, and the platform, which every test starts anew."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.acceptance.wechat.chat_site import APP_ID, PROGRAM_ID, SECRET, Folder
from tests.fakes.wechat_platform import WechatPlatform


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("wechat"))


@pytest.fixture
async def platform() -> AsyncIterator[WechatPlatform]:
    platform = WechatPlatform(APP_ID, SECRET)
    platform.add_account(PROGRAM_ID, SECRET)
    async with platform.running():
        yield platform
