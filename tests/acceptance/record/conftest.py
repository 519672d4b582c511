"""A service on a folder of its own, with one activated batch and no limits, that may be killed."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.acceptance.cli.shell import ROOT, Server, Shell
from tests.fakes.ports import free_port

LABELS = 40


@dataclass(frozen=True)
class Site:
    """A prepared folder and the codes of its labels."""

    folder: Path
    codes: list[str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "YANZHEN_DATA_DIR": str(self.folder),
            "YANZHEN_LOG_LEVEL": "warning",
            "YANZHEN_THROTTLE__ENABLED": "false",
        }

    @property
    def database(self) -> Path:
        return self.folder / "yanzhen.db"

    @contextmanager
    def serving(self) -> Iterator[tuple[Server, int]]:
        """Run a server on a free port; whoever has not ended it by the end of the block sees it killed."""
        port = free_port()
        log = self.folder / "server.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--port", str(port)],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            server = Server(process=process, url=f"http://127.0.0.1:{port}", log=log)
            server.wait_until_it_answers()
            yield server, port
        finally:
            process.kill()
            process.wait(30)

    def module(self, name: str, *words: object) -> subprocess.Popen[str]:
        """Start one of the processes of this folder; it prints to a pipe, and ends with the test at the latest."""
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.acceptance.record.{name}", *map(str, words)],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process


def stop(server: Server) -> None:
    """Stop a server in good order."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0, server.log.read_text()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    shell = Shell(tmp_path / "data")
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", LABELS)["id"]
    shell.run("batch", "activate", batch)
    path = tmp_path / "labels.csv"
    shell.run("batch", "export", batch, "--out", path)
    with path.open(newline="") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    site = Site(folder=shell.folder, codes=codes)
    yield site
    for process in site.started:
        process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
