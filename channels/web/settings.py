"""What the website is set up with, as a plain value; app/settings holds the tree it comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """``js_sdk``: pages opened inside WeChat may use its scanner, because an official account signs for them."""

    js_sdk: bool = False
