"""A shell for the acceptance tests: runs the real command in a folder of its own and reads what it printed."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from app.cli.main import main
from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60
_LATE_S = 1.0  # a server that puts off because time ran out has let at least so much of it pass
_TRIES = 5


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    stdout: str
    stderr: str


@dataclass(frozen=True)
class Shell:
    """Runs `yanzhen` with its data in ``folder``."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {"YANZHEN_DATA_DIR": str(self.folder), "YANZHEN_LOG_FORMAT": "json"}

    def run(self, *words: object, expect: int = 0) -> Said:
        """Run one command in this process, as the entry point would, because a process costs a second."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = main(["--data-dir", str(self.folder), *map(str, words)])
            except SystemExit as left:
                code = int(left.code or 0)
        said = Said(stdout=out.getvalue(), stderr=err.getvalue())
        assert code == expect, f"{words}: exit {code}\n{said.stdout}\n{said.stderr}"
        return said

    def spawn(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run one command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "app", *map(str, words)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    @contextmanager
    def serving(self, command: str = "serve", *words: object) -> Iterator["Server"]:
        """Run a server on a free port until the block ends, then stop it by SIGTERM and expect exit code 0."""
        port = free_port()
        log = self.folder / "server.log"
        self.folder.mkdir(exist_ok=True)
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", command, "--port", str(port), *map(str, words)],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            server = Server(process=process, url=f"http://127.0.0.1:{port}", log=log)
            try:
                server.wait_until_it_answers()
                yield server
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                code = process.wait(PATIENCE_S)
        assert code == 0, log.read_text()


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def wait_until_it_answers(self) -> None:
        """Ask until somebody listens; the attempts are bounded by the process's life and the time of a refusal."""
        poll = self.process
        for _ in range(600):
            assert poll.poll() is None, self.log.read_text()
            try:
                self.get("/livez")
            except (ConnectionError, urllib.error.URLError):
                try:
                    poll.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
            else:
                return
        raise AssertionError(self.log.read_text())

    def until_printed(self, words: str) -> str:
        """Return all that was printed, once ``words`` are in it: a demonstration listens a moment before it prints."""
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()
            printed = self.log.read_text()
            if words in printed:
                return printed
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
        raise AssertionError(self.log.read_text())

    def get(self, path: str) -> tuple[int, str]:
        return self._ask(urllib.request.Request(self.url + path))

    def verify(self, code: str, **members: str) -> tuple[int, Any]:
        """Ask about a code, and ask the same again where a busy machine let the deadline pass."""
        body = json.dumps({"code": code, **members}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        request = urllib.request.Request(f"{self.url}/api/v1/verifications", body, headers, method="POST")
        status, text = 0, ""
        for _ in range(_TRIES):
            asked_s = time.monotonic()
            status, text = self._ask(request)
            if status != 503 or time.monotonic() - asked_s < _LATE_S:
                break
        return status, json.loads(text)

    def _ask(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
