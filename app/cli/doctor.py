"""`yanzhen doctor`: every check is one line with a remedy; the exit code is not 0 where the service could not serve."""

from __future__ import annotations

import argparse
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.cli.context import add_json, settings_of
from app.cli.exits import Exit
from app.cli.output import write_json, write_line, write_table
from app.core.errors import SchemaOutdated, SettingsInvalid, YanzhenError

if TYPE_CHECKING:
    from app.settings import Settings

_LEAST_PYTHON: Final = (3, 11)
_LEAST_FREE_MB: Final = 200
_FEW_FREE_MB: Final = 2_000
_EARLIEST_YEAR: Final = 2026


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: ``state`` is ok, warning or failed; ``text`` says what was seen and, if not ok, what to do."""

    check: str
    state: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run every check, also after one failed."""
    settings = settings_of(arguments)
    findings = list(_examine(settings))
    failed = any(finding.state == "failed" for finding in findings)
    if arguments.json:
        rows = [{"check": f.check, "state": f.state, "text": f.text} for f in findings]
        write_json({"ok": not failed, "checks": rows})
    else:
        write_table(("CHECK", "STATE", ""), ((f.check, f.state, f.text) for f in findings))
        write_line()
        write_line(
            "Something must be put right before this can serve." if failed else "This installation can serve."
        )
    return Exit.REFUSED if failed else Exit.OK


def _examine(settings: Settings) -> Iterator[Finding]:
    yield _python()
    yield from _environment()
    yield from _database(settings)
    yield from _keys(settings)
    yield from _machines(settings)
    yield _disk(settings)
    yield _clock()
    yield _address(settings)
    yield _port(settings)
    yield _limits(settings)
    yield from _hotline(settings)
    yield from _chats(settings)


def _ok(check: str, text: str) -> Finding:
    return Finding(check=check, state="ok", text=text)


def _warning(check: str, text: str) -> Finding:
    return Finding(check=check, state="warning", text=text)


def _failed(check: str, text: str) -> Finding:
    return Finding(check=check, state="failed", text=text)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _LEAST_PYTHON:
        return _failed("python", f"{version}: install 3.11 or later")
    return _ok("python", version)


def _environment() -> Iterator[Finding]:
    from app.settings import unknown_environment

    for name in unknown_environment():
        yield _warning("settings", f"{name} sets nothing: see docs/settings.md for the names there are")


def _database(settings: Settings) -> Iterator[Finding]:
    from app.bootstrap.preparation import examine_database

    path = settings.database_path
    if path is None:
        yield from _server(settings)
        return
    if not path.exists():
        yield _failed("database", f"there is none at {path}: run `yanzhen init`")
        return
    try:
        found = examine_database(settings)
    except YanzhenError as error:
        yield _failed("database", str(error))
        return
    if found is None:
        return
    yield _ok("database", str(path))
    yield _failed("schema", found.schema) if found.schema else _ok("schema", "up to date")
    durable = found.journal_mode == "wal" and found.synchronous in {"full", "extra"}
    text = f"journal {found.journal_mode}, synchronous {found.synchronous}"
    yield (
        _ok("durability", text)
        if durable
        else _failed(
            "durability", f"{text}: the file system of {path} cannot do WAL, move data_dir to a local disk"
        )
    )
    if found.soundness:
        yield _failed("soundness", f"{found.soundness}: restore the database from its last backup")
    else:
        yield _ok("soundness", "quick check passed")


def _server(settings: Settings) -> Iterator[Finding]:
    """Look at a database that is a server, by recording a row as a verification would."""
    from app.bootstrap.preparation import try_storage
    from app.bootstrap.storage import storage_place

    try:
        try_storage(settings)
    except SchemaOutdated as error:
        yield _failed("schema", str(error))
    except SettingsInvalid as error:
        yield _failed("durability", str(error))
    except YanzhenError as error:
        yield _failed("database", str(error))
    else:
        yield _ok("database", storage_place(settings))
        yield _ok("schema", "up to date")
        yield _ok("durability", "synchronous_commit and fsync are on, a row was committed")


def _machines(settings: Settings) -> Iterator[Finding]:
    """Look at what several processes share."""
    from app.bootstrap.sharing_by_redis import try_redis
    from app.bootstrap.storage import is_shared

    if settings.redis_url.get_secret_value():
        try:
            up = try_redis(settings)
        except YanzhenError as error:
            yield _failed("redis", str(error))
        else:
            yield (
                _ok("redis", "it answers")
                if up
                else _warning(
                    "redis", "it does not answer: each process keeps stricter limits of its own until it does"
                )
            )
    if settings.workers == 1:
        return
    text = f"{settings.workers} processes"
    if not is_shared(settings):
        yield _failed(
            "workers", f"{text} on a SQLite file, which belongs to one: set workers to 1, or PostgreSQL"
        )
    elif not settings.redis_url.get_secret_value():
        yield _warning("workers", f"{text}, each with limits of its own: set YANZHEN_REDIS_URL to share them")
    else:
        yield _ok("workers", text)


def _keys(settings: Settings) -> Iterator[Finding]:
    import asyncio

    from app.bootstrap.workshop import open_workshop

    async def fit() -> int:
        async with open_workshop(settings) as workshop:
            return len((await workshop.keyring()).tag_keys)

    path = settings.key_file
    try:
        count = asyncio.run(fit())
    except YanzhenError as error:
        yield _failed("keys", str(error))
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    yield _ok(
        "keys", f"{path} mode {mode:04o}, {count} tag key(s), all fit the database; is the backup current?"
    )


def _disk(settings: Settings) -> Finding:
    path = settings.database_path
    folder = settings.data_dir if path is None else path.parent
    while not folder.exists():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free >> 20
    text = f"{free_mb} MB free at {folder}"
    if free_mb < _LEAST_FREE_MB:
        return _failed("disk", f"{text}: make room, a full disk answers every query with `unavailable`")
    return _warning("disk", f"{text}: make room soon") if free_mb < _FEW_FREE_MB else _ok("disk", text)


def _clock() -> Finding:
    from app.bootstrap.preparation import present_moment

    now = present_moment()
    text = now.strftime("%Y-%m-%d %H:%M:%S UTC")
    if now.year < _EARLIEST_YEAR:
        return _failed("clock", f"{text} cannot be: set the machine's clock")
    return _ok("clock", text)


def _address(settings: Settings) -> Finding:
    if settings.public_url_is_loopback:
        return _warning(
            "public_url",
            f"{settings.public_url} can be opened on this machine only: set YANZHEN_PUBLIC_URL before issuing labels",
        )
    if settings.public_url.startswith("http://"):
        return _warning(
            "public_url", f"{settings.public_url} is not encrypted: put TLS in front of the service"
        )
    return _ok("public_url", settings.public_url)


def _port(settings: Settings) -> Finding:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    where = f"{settings.host}:{settings.port}"
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return _warning(
                "port", f"{where}: {error.strerror}; fine if this service runs, else choose another --port"
            )
    return _ok("port", f"{where} is free")


def _limits(settings: Settings) -> Finding:
    if not settings.throttle.enabled:
        return _warning(
            "limits", "off: set YANZHEN_THROTTLE__ENABLED=true before strangers can reach this service"
        )
    return _ok("limits", "on")


def _hotline(settings: Settings) -> Iterator[Finding]:
    """Look at the voice and at who answers; nothing where no provider of calls is set up."""
    import asyncio

    from app.bootstrap.speech import examine_voice

    if not settings.ivr.any_provider:
        return
    try:
        voice = asyncio.run(examine_voice(settings))
    except YanzhenError as error:
        yield _failed("voice", str(error))
    else:
        extra = (
            "the extra `speech` is installed" if voice.synthesises else "the extra `speech` is not installed"
        )
        text = f"{voice.missing} of {voice.clips} clips missing, {extra}"
        if not voice.missing:
            yield _ok("voice", text)
        elif voice.synthesises:
            yield _warning(
                "voice", f"{text}: `yanzhen prompts render` makes them, or the service beside its calls"
            )
        else:
            yield _warning("voice", f"{text}: install it, or bring a rendered clips folder into data_dir")
    if settings.ivr.operator:
        yield _ok("operator", settings.ivr.operator)
    else:
        yield _ok(
            "operator", "none, so no caller is offered a person: YANZHEN_IVR__OPERATOR sets the staffed line"
        )


def _chats(settings: Settings) -> Iterator[Finding]:
    """Look at how each account on WeChat is written to, and whether it can write by itself."""
    from app.bootstrap.chatting import WECHAT, wechat_settings

    if WECHAT not in settings.channels:
        return
    try:
        accounts = wechat_settings(settings).accounts
    except SettingsInvalid as error:
        yield _failed("wechat", str(error))
        return
    for account in accounts:
        mode, remedies = account.mode.value, []
        if mode != "encrypted":
            remedies.append("anybody who sees one address can write for five minutes: choose security mode")
        if not (account.app_id and account.app_secret):
            lost = "later answers are" if account.kind.value == "official-account" else "every answer is"
            remedies.append(f"{lost} lost: set app_id and app_secret")
        text = "; ".join((f"{account.name} in {mode} mode", *remedies))
        yield _warning("wechat", text) if remedies else _ok("wechat", text)
