"""Server processes under load: started afresh, kept on one core, their CPU time and device writes read.

Server and load generator stand on different cores where the machine has two; everything is bounded and on the loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.measures import WrongAnswerError
from tests.bench.prefill import ROOT

CONNECTIONS: Final = 64
_HERE: Final = Path(__file__).parent
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_TRIES: Final = 300
_STOP_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of the load generator saw, with the server's CPU seconds meanwhile."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of the server process, all threads, an answer."""
        return self.cpu_s / self.requests * 1e6

    @property
    def busy(self) -> float:
        """Share of one core that the server had; well below 1 the generator or a stranger was the limit."""
        return self.cpu_s / self.seconds


@dataclass(slots=True)
class Served:
    """A server process that listens on ``port``. After the end ``written`` holds its device bytes, all in all."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    written: int = 0

    def cpu_s(self) -> float:
        """CPU seconds so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def device_bytes(self) -> int:
        """Bytes that the process sent to the device so far, 0 where the system does not tell."""
        try:
            lines = Path(f"/proc/{self.process.pid}/io").read_text().splitlines()
        except OSError:
            return 0
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))

    def ask(self, code: str) -> dict[str, Any]:
        """Ask one code and return the answer's document."""
        body = json.dumps({"code": code, "locale": "zh-CN"}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/verifications",
            body,
            {"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
            return document


def cores() -> tuple[int, int]:
    """Return (server's core, generator's core); the same one twice on a machine with a single core."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def generator() -> str:
    """Name the load generator that is used."""
    return "wrk" if shutil.which("wrk") else "own client"


@contextmanager
def serving(
    words: Sequence[str],
    *,
    port: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    pinned: bool = True,
) -> Iterator[Served]:
    """Run `python -m <words>` on the server's core until the block ends; its output goes to ``log``.

    ``pinned`` is false for several processes, which share all cores with each other and the generator.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=None if environment is None else dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    served = Served(process=process, port=port, log=log)
    try:
        if pinned:
            os.sched_setaffinity(process.pid, {cores()[0]})
        _wait_until_it_listens(served)
        yield served
    finally:
        _stop(served)
    if process.returncode:
        raise WrongAnswerError(f"{words} ended with {process.returncode}:\n{log.read_text()[-2000:]}")


def fire(served: Served, codes: Path, *, offset: int, seconds: int) -> Load:
    """Load the server for a whole number of seconds. Raises :class:`WrongAnswerError` for any answer but 200."""
    before = served.cpu_s()
    run = subprocess.run(
        _generator_words(served.port, codes, offset, seconds),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    cpu_s = served.cpu_s() - before
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    if run.returncode or not lines:
        raise WrongAnswerError(f"The load generator failed: {run.stdout}{run.stderr}")
    figures = json.loads(lines[-1])
    if figures.pop("wrong"):
        raise WrongAnswerError(f"Some answers were not 200:\n{run.stdout}\n{served.log.read_text()[-2000:]}")
    return Load(cpu_s=cpu_s, **figures)


def _generator_words(port: int, codes: Path, offset: int, seconds: int) -> list[str]:
    pinned = ["taskset", "-c", str(cores()[1])] if shutil.which("taskset") else []
    if shutil.which("wrk"):
        wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s"]
        script = [
            "-s",
            str(_HERE / "requests.lua"),
            f"http://127.0.0.1:{port}",
            "--",
            str(codes),
            str(offset),
        ]
        return [*pinned, *wrk, *script]
    client = [sys.executable, "-m", "tests.bench.raw_client"]
    return [*pinned, *client, str(port), str(codes), str(offset), str(seconds), str(CONNECTIONS)]


def _wait_until_it_listens(served: Served) -> None:
    for _ in range(_TRIES):
        if served.process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", served.port)) == 0:
                return
        try:
            served.process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise WrongAnswerError(f"The server did not start:\n{served.log.read_text()[-2000:]}")


def _stop(served: Served) -> None:
    """End the process by SIGTERM, wait for it, and take what the system counted for its whole life."""
    process = served.process
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    watchdog = signal.signal(signal.SIGALRM, _too_slow)
    signal.alarm(_STOP_S)
    try:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        served.written = usage.ru_oublock * 512
    except TimeoutError:
        process.kill()
        process.wait()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, watchdog)


def _too_slow(_number: int, _frame: object) -> None:
    raise TimeoutError
