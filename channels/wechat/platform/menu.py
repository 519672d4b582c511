"""An official account's menu: what it holds stands in ``menu.toml``, in the platform's own terms."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from channels.wechat.platform.answers import Answer
from channels.wechat.platform.client import PUSH_WITHIN_S, Platform

_CREATE: Final = "/cgi-bin/menu/create"


def load_menu() -> Mapping[str, object]:
    """Return the menu as the platform takes it: ``{"button": [...]}``."""
    return tomllib.loads(Path(__file__).with_name("menu.toml").read_text(encoding="utf-8"))


async def create_menu(platform: Platform, menu: Mapping[str, object]) -> Answer:
    """Put ``menu`` in the place of the one the account has. To do it twice is harmless."""
    return await platform.post(_CREATE, menu, within_s=PUSH_WITHIN_S)
