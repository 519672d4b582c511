"""What WeChat is set up with, as plain values; app/settings holds the tree they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.core.model.label import BrandId

API_BASE: Final = "https://api.weixin.qq.com"


class AccountKind(StrEnum):
    """What sort of account it is; the word is also the last part of its address."""

    OFFICIAL_ACCOUNT = "official-account"
    MINI_PROGRAM = "mini-program"


class Mode(StrEnum):
    """How the platform writes to us, as chosen in its console: security mode, compatible mode, plain mode."""

    ENCRYPTED = "encrypted"
    COMPATIBLE = "compatible"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account. ``name`` is the account in recorded facts, and the name of its sender.

    ``tokens`` and ``aes_keys`` are one, or two while they change: either opens a message, and its answer is closed by
    what opened it. ``aes_keys`` are the 43 characters of the console. ``brands`` are those the account may answer for,
    None for all. ``card``: answers about a product with a picture come as a card. ``recall_template`` is the subscribe
    message's template, "" where recalls cannot be told. Sessions of a mini-program that began before ``sessions_from``,
    an aware time, are over from then on.
    """

    name: str
    kind: AccountKind
    tokens: tuple[str, ...] = field(repr=False)
    app_id: str = ""
    app_secret: str = field(default="", repr=False)
    aes_keys: tuple[str, ...] = field(default=(), repr=False)
    mode: Mode = Mode.ENCRYPTED
    brands: frozenset[BrandId] | None = None
    card: bool = False
    recall_template: str = ""
    sessions_from: datetime | None = None

    @property
    def path(self) -> str:
        """The account's address: that of its kind, and its name where it is a further one."""
        first = f"/channels/wechat/{self.kind.value}"
        return first if self.name == self.kind.value else f"{first}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WechatSettings:
    """``js_sdk`` names the official account that signs for pages in WeChat's browser, "" for none; ``domain_files``
    maps the file names the console asks for to their content.
    """

    accounts: tuple[Account, ...] = ()
    api_base: str = API_BASE
    js_sdk: str = ""
    domain_files: Mapping[str, str] = field(default_factory=dict)
