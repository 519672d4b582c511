"""A real server on a device that is full or cannot be written: refused clearly, and well again by itself."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from app.cli.exits import Exit
from tests.acceptance.cli.shell import ROOT, Server, Shell
from tests.proof.harness import Prove
from tests.proof.io_faults.service import RECOVERS_WITHIN_S, SLACK

LABELS: Final = 60


def _may_mount() -> bool:
    """Tell whether this machine lets the tests have a small device of their own."""
    return (
        os.geteuid() == 0
        and subprocess.run(
            ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )


# where it may not be had, a limit to the size of files stands for the device that is full
DEVICES: Final = ("tmpfs", "size-limit") if _may_mount() else ("size-limit",)


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    if request.param == "tmpfs":
        with mounted(tmp_path / "device", "6m") as folder:
            yield request.param, folder
    else:
        yield request.param, tmp_path


def prepare(folder: Path) -> tuple[Shell, list[str]]:
    shell = Shell(folder / "data")
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", LABELS)["id"]
    shell.run("batch", "activate", batch)
    labels = folder / "labels.csv"
    shell.run("batch", "export", batch, "--out", labels)
    return shell, [line.split(",")[1] for line in labels.read_text().splitlines()[1:]]


@contextmanager
def broken(kind: str, folder: Path, server: Server) -> Iterator[None]:
    """Leave no room for another byte, and then make room again."""
    if kind == "tmpfs":
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    continue
            except OSError:
                pass  # full
        try:
            yield
        finally:
            filler.unlink()
    else:
        pid, open_end = server.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        size = (folder / "data" / "yanzhen.db-wal").stat().st_size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, open_end)


def answers_until(server: Server, code: str, enough: Callable[[int], bool]) -> Iterator[tuple[int, Any]]:
    """Ask about ``code`` again and again, for as long as recovering may take; yield every answer."""
    give_up_at = time.monotonic() + RECOVERS_WITHIN_S * SLACK
    while time.monotonic() < give_up_at:
        status, body = server.verify(code)
        yield status, body
        if enough(status):
            return
    raise AssertionError(f"still {status}: {body}")


def test_a_full_device_refuses_and_is_noticed_when_there_is_room_again(
    device: tuple[str, Path], prove: Prove
) -> None:
    kind, folder = device
    shell, codes = prepare(folder)
    first = codes.pop()
    told: dict[str, list[int]] = {}

    def note(code: str, status: int, body: Any) -> int:
        assert status in (200, 503), body
        assert body["outcome"] in ("first", "repeat", "over_limit", "unavailable")
        if status == 200:
            told.setdefault(code, []).append(body["ordinal"])
        return status

    with shell.serving() as server:
        assert note(first, *server.verify(first)) == 200
        refused = 0
        with broken(kind, folder, server):
            for code in codes[:20] + [first] * 3:
                refused += note(code, *server.verify(code)) == 503
            assert server.get("/livez")[0] == 200
        assert refused > 0
        began = time.monotonic()
        for status, body in answers_until(server, first, lambda status: status == 200):
            note(first, status, body)
        assert time.monotonic() - began < RECOVERS_WITHIN_S * SLACK
        for code in codes[:20]:
            assert note(code, *server.verify(code)) == 200
    with shell.serving() as server:
        for code in codes[:20]:
            note(code, *server.verify(code))
    for code, ordinals in told.items():
        assert ordinals == list(range(1, len(ordinals) + 1)), (code, ordinals)
    prove("I/O faults", breaches={"wrong_answers": 0, "not_recovered": 0}, refused_on_a_full_device=refused)


def test_a_device_that_cannot_be_written_is_said_at_the_start(tmp_path: Path, prove: Prove) -> None:
    """Root may write what only modes forbid, so the service is started as somebody who may not."""
    shell, codes = prepare(tmp_path)
    shell.run("verify", codes[0])
    data = shell.folder
    for path in [data, *data.iterdir()]:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
        ended = subprocess.run(
            [*drop, sys.executable, "-m", "app", "serve", "--port", "0"],
            cwd=ROOT,
            env=shell.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        for path in [data, *data.iterdir()]:
            path.chmod(path.stat().st_mode | 0o200)
    assert ended.returncode == Exit.UNAVAILABLE, ended.stderr
    assert "Check disk space and permissions" in ended.stderr
    with shell.serving() as server:
        assert server.verify(codes[0])[1]["ordinal"] == 2
    prove("I/O faults", breaches={"wrong_answers": 0, "not_recovered": 0}, refused_starts=1)
