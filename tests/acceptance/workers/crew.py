"""`yanzhen serve --workers` as a process: its log lines as they come, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.acceptance.cli.shell import ROOT
from tests.fakes.ports import free_port

PATIENCE_S = 60.0


class Crew:
    """A supervisor and its workers; ``lines`` are the log so far."""

    def __init__(self, folder: Path, url: str, *, workers: int = 2, **settings: str) -> None:
        self.port = free_port()
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        environment = os.environ | {
            "YANZHEN_DATA_DIR": str(folder),
            "YANZHEN_DATABASE_URL": url,
            "YANZHEN_LOG_FORMAT": "json",
            "YANZHEN_THROTTLE__ENABLED": "false",
            **settings,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", str(self.port), "--workers", str(workers)],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def seen(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    def until(self, is_so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, PATIENCE_S), self.lines[-20:]

    def until_seen(self, event: str, times: int = 1) -> None:
        self.until(lambda: len(self.seen(event)) >= times)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    self.lines.append({"event": "", "text": line.decode()})
                self._changed.notify_all()
