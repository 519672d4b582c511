"""A whole service without its sockets, made by the product's own start-up, and codes of every class to ask it about."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.adapters.clock import SystemClock
from app.bootstrap import telephony
from app.bootstrap.service import _lay_foundation, _open_channels, _spare_the_collector
from app.core.engine import VerificationEngine
from app.core.model.check_digits import check_digits_for
from app.issuing.codebook import TAG_MODULUS
from app.issuing.key_file import KeyFile
from app.settings import Settings, load_settings
from channels.base import ChannelAdapter, InboundRequest, OutboundResponse
from channels.pipeline import Pipeline
from tests.acceptance.cli.shell import Said, Shell

PUBLIC_URL: Final = "https://verify.example"
PHONE_TOKEN: Final = "0123456789abcdef" * 2
CHAT_TOKEN: Final = "token-of-the-account"
CHAT_KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
CHAT_APP: Final = "wx0123456789abcdef"
LENGTH: Final = 20
_LABELS: Final = 2_000
_TAG: Final = slice(LENGTH - 9, LENGTH - 2)

# what a brand of little disclosure has answered alike: never issued, issued with another tag, withdrawn, not yet sold
NEVER_ISSUED, WRONG_TAG, VOIDED, NOT_ACTIVE = CLASSES = ("never issued", "wrong tag", "voided", "not active")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A prepared folder: ``codes`` by class, and in ``active`` those of labels that may be told."""

    flags: Mapping[str, object]
    codes: Mapping[str, tuple[str, ...]]
    active: tuple[str, ...]

    @property
    def settings(self) -> Settings:
        """Of a service without limits."""
        return load_settings(flags={**self.flags, "throttle": {"enabled": False}})

    @property
    def limited(self) -> Settings:
        """Of a service that counts and limits as it is installed."""
        return load_settings(flags=self.flags)

    @property
    def slips(self) -> Mapping[str, tuple[str, ...]]:
        """The codes by class, each with one digit wrong."""
        return {
            name: tuple(f"{code[:5]}{(int(code[5]) + 1) % 10}{code[6:]}" for code in codes)
            for name, codes in self.codes.items()
        }


@dataclass(frozen=True)
class StoreShell(Shell):
    """Runs commands on the database of an address, where there is one."""

    url: str = ""

    def run(self, *words: object, expect: int = 0) -> Said:
        served = ("--set", f"database_url={self.url}") if self.url else ()
        return super().run(*words, *served, expect=expect)


def prepare(folder: Path, database_url: str = "") -> Site:
    """Make a record with one brand of little disclosure: a batch voided, one never activated, one sold.

    Without ``database_url`` it is SQLite in ``folder``.
    """
    served = {"database_url": database_url} if database_url else {}
    shell = StoreShell(folder, url=database_url)
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾", "--disclosure", "minimal")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉")["id"]
    batches = {}
    for name in (VOIDED, NOT_ACTIVE, "active"):
        batch = batches[name] = shell.json("batch", "issue", "--product", product, "--quantity", _LABELS)
        if name != NOT_ACTIVE:
            shell.run("batch", "activate", batch["id"])
        if name == VOIDED:
            shell.run("batch", "void", batch["id"])
    flags = {
        **served,
        "data_dir": folder,
        "public_url": PUBLIC_URL,
        "log_level": "error",
        "sms": {"per_day": 10**9, "per_number_per_day": 10**9, "twilio": {"auth_tokens": PHONE_TOKEN}},
        "ivr": {"twilio": {"auth_tokens": PHONE_TOKEN}},
        "wechat": {
            "official_account": {"token": CHAT_TOKEN, "encoding_aes_key": CHAT_KEY, "app_id": CHAT_APP}
        },
    }
    codes, active = _codes(load_settings(flags=flags), batches)
    return Site(flags=flags, codes=codes, active=active)


def _codes(
    settings: Settings, batches: Mapping[str, Mapping[str, int]]
) -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]:
    ring = KeyFile(settings.key_file).load()
    codebook, key_id = ring.codebook(), ring.current_tag_key_id
    chance = random.Random(7)

    def made(batch: Mapping[str, int]) -> tuple[str, ...]:
        first = batch["first_serial"]
        return tuple(codebook.make(first + number, tag_key_id=key_id) for number in range(_LABELS))

    def with_tag(code: str, change: int) -> str:
        tag = (int(code[_TAG]) + change) % TAG_MODULUS
        body = f"{code[: _TAG.start]}{tag:07d}"
        return body + check_digits_for(body)

    def at_random() -> str:
        body = f"{chance.randrange(10 ** (LENGTH - 2)):0{LENGTH - 2}d}"
        return body + check_digits_for(body)

    voided, not_active = made(batches[VOIDED]), made(batches[NOT_ACTIVE])
    wrong = tuple(
        with_tag(code, chance.randrange(1, TAG_MODULUS))
        for code in (*voided[: _LABELS // 2], *not_active[: _LABELS // 2])
    )
    codes = {
        NEVER_ISSUED: tuple(at_random() for _ in range(_LABELS)),
        WRONG_TAG: wrong,
        VOIDED: voided,
        NOT_ACTIVE: not_active,
    }
    return codes, made(batches["active"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The one path, and the adapters by name; bytes go in, bytes come out."""

    adapters: Mapping[str, ChannelAdapter]
    pipeline: Pipeline
    engine: VerificationEngine
    clock: SystemClock

    async def carry(self, channel: str, request: InboundRequest) -> OutboundResponse:
        return await self.pipeline.carry(self.adapters[channel], request)


async def _keep_none(*_: object) -> None:
    return


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[Service]:
    """Start every part of the service but its server, as ``yanzhen serve`` does.

    The hotline's clips are left unmade: which are there by now has nothing to do with a code, and makes answers differ.
    """
    async with AsyncExitStack() as parts:
        parts.callback(setattr, telephony, "keep_clips", telephony.keep_clips)
        telephony.keep_clips = _keep_none
        base = await _lay_foundation(settings, None, parts)
        adapters, pipeline, _ = await _open_channels(settings, base, parts)
        await asyncio.to_thread(base.keys.recogniser.tabulate)
        _spare_the_collector(parts)
        yield Service(
            adapters={adapter.manifest.name: adapter for adapter in adapters},
            pipeline=pipeline,
            engine=base.engine,
            clock=base.clock,
        )
