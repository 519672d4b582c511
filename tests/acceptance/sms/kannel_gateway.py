"""A real Kannel on free ports of the loopback, set up by the shipped file, with its fake message centre.

Between Kannel and the service stands a :class:`Relay`, so that a test sees every request and can lose an answer.
"""

import http.client
import os
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes, urlsplit

from tests.fakes.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "config/kannel.conf"
FAKE_CENTRE = Path("/usr/lib/kannel/test/fakesmsc")
REMEDY = (
    "Kannel is not installed: run `make gateway` as root, or install the packages kannel and kannel-extras"
)
PATIENCE_S = 60
OURS = "95001"
SEND_USER, SEND_PASSWORD = "yanzhen", "send-password-of-the-test"
BUSY = "The service is busy. Your code was not checked. Please send it again later."
_GOT = re.compile(r"Got message \d+: <(\S+) (\S+) (\S+) (.*)>$")


def find_program(name: str) -> str | None:
    """Return where a box of Kannel is; Debian keeps them out of most people's path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def is_installed() -> bool:
    return FAKE_CENTRE.exists() and None not in map(find_program, ("bearerbox", "smsbox"))


def adapt(shipped: str, changes: Mapping[tuple[str, str], str]) -> str:
    """Return the shipped file with the values of (group, name) changed; each must stand there exactly once."""
    left, group, lines = dict(changes), "", []
    for line in shipped.splitlines():
        name, _, value = line.partition(" = ")
        if name == "group":
            group = value
        changed = left.pop((group, name), None)
        lines.append(line if changed is None else f"{name} = {changed}")
    assert not left, f"config/kannel.conf does not set {sorted(left)}"
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------ the relay


@dataclass(frozen=True)
class Fetch:
    """One request of Kannel and what the service answered; ``told`` is the status that Kannel saw."""

    path: str
    query: dict[str, str]
    status: int
    body: bytes
    headers: dict[str, str]
    told: int


@dataclass
class Relay:
    """Hands Kannel's requests to the service. ``lose``: so many answers are replaced by a status 500."""

    port: int
    upstream: int
    fetches: list[Fetch] = field(default_factory=list)
    lose: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def texts(self) -> list[Fetch]:
        return [fetch for fetch in self.fetches if "/delivered/" not in fetch.path]

    def reports(self) -> list[Fetch]:
        return [fetch for fetch in self.fetches if "/delivered/" in fetch.path]

    def wait_for_reports(self, count: int) -> list[Fetch]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.reports()) >= count, PATIENCE_S), self.fetches
        return self.reports()

    def fetch(self, target: str) -> Fetch:
        """Ask the service, note what it said, and return what Kannel is told."""
        line = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=PATIENCE_S)
        try:
            line.request("GET", target)
            answer = line.getresponse()
            body = answer.read()
        finally:
            line.close()
        with self._changed:
            told = answer.status
            if self.lose:
                self.lose -= 1
                told = 500
            parts = urlsplit(target)
            fetch = Fetch(
                path=parts.path,
                query=dict(parse_qsl(parts.query, keep_blank_values=True)),
                status=answer.status,
                body=body,
                headers={name.lower(): value for name, value in answer.getheaders()},
                told=told,
            )
            self.fetches.append(fetch)
            self._changed.notify_all()
        return fetch


class _RelayServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


@contextmanager
def relaying(upstream: int) -> Iterator[Relay]:
    """Run a relay to the service at port ``upstream`` until the block ends."""

    class OneRequest(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            fetch = relay.fetch(self.path)
            body = fetch.body if fetch.told == fetch.status else b"lost"
            self.send_response(fetch.told)
            for name in ("content-type", "x-kannel-coding"):
                if name in fetch.headers:
                    self.send_header(name, fetch.headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing: addresses hold texts."""

    with _RelayServer(("127.0.0.1", 0), OneRequest) as server:
        relay = Relay(port=server.server_address[1], upstream=upstream)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join(PATIENCE_S)


# ------------------------------------------------------------------------------------------ the gateway


@dataclass(frozen=True)
class Received:
    """One text at the message centre, as it left: ``content`` are the bytes on the air, UTF-8 where GSM 7-bit."""

    sender: str
    recipient: str
    coding: str
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-16-be" if self.coding == "ucs-2" else "utf-8")


def _received(line: str) -> Received | None:
    found = _GOT.search(line)
    if found is None:
        return None
    sender, recipient, coding, raw = found.groups()
    content = unquote_to_bytes(raw.replace("+", "%20")) if coding == "ucs-2" else raw.encode()
    return Received(sender=sender, recipient=recipient, coding=coding, content=content)


@dataclass(frozen=True)
class Kannel:
    """A running gateway. ``relay`` is what it fetches answers from."""

    centre_port: int
    send_port: int
    relay: Relay

    @property
    def send_url(self) -> str:
        return f"http://127.0.0.1:{self.send_port}/cgi-bin/sendsms"

    def exchange(
        self, sender: str, text: str | bytes, *, replies: int = 1, times: int = 1, mixed: bool = False
    ) -> list[Received]:
        """Text from a phone ``times`` times (``mixed``: each from another number) and return the replies it got.

        Chinese goes as UCS-2, bytes are UCS-2 as they stand; ASCII goes as GSM 7-bit.
        """
        if isinstance(text, str) and text.isascii() and "\n" not in text:
            message = f"{sender} {OURS} text {text}"
        else:
            raw = text.encode("utf-16-be") if isinstance(text, str) else text
            message = f"{sender} {OURS} ucs2 {quote_from_bytes(raw, safe='')}"
        words = ["-i", "0.002", "-m", str(times), *(["-z", "1"] if mixed else []), message]
        with self.listening(*words) as replies_of:
            return replies_of(replies)

    @contextmanager
    def listening(self, *words: str) -> Iterator["_RepliesOf"]:
        """Run the fake message centre with ``words`` until the block ends."""
        process = subprocess.Popen(
            [str(FAKE_CENTRE), "-H", "127.0.0.1", "-r", str(self.centre_port), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        watch = threading.Timer(PATIENCE_S, process.kill)
        watch.start()
        try:
            yield _RepliesOf(process)
        finally:
            watch.cancel()
            process.kill()
            process.wait(PATIENCE_S)
            assert process.stdout is not None
            process.stdout.close()


class _RepliesOf:
    """Reads what the message centre prints; it ends by itself when its patience does."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines = process.stdout

    def until_connected(self) -> None:
        self._read_to("Connecting to")

    def __call__(self, count: int) -> list[Received]:
        """Return the next ``count`` replies."""
        found: list[Received] = []
        seen: list[str] = []
        assert self._lines is not None
        while len(found) < count:
            line = self._lines.readline()
            assert line, f"{len(found)} of {count} replies came:\n{''.join(seen)}"
            seen.append(line)
            reply = _received(line.rstrip("\n"))
            if reply is not None:
                found.append(reply)
        return found

    def _read_to(self, words: str) -> None:
        assert self._lines is not None
        for line in self._lines:
            if words in line:
                return
        raise AssertionError("the message centre ended before it connected")


@contextmanager
def running_kannel(folder: Path, relay: Relay, secret: str) -> Iterator[Kannel]:
    """Run bearerbox and smsbox from the shipped file, with other ports and passwords, until the block ends."""
    assert is_installed(), REMEDY
    admin, boxes, send, centre = (free_port() for _ in range(4))
    shipped = SHIPPED.read_text(encoding="utf-8")
    (get_url,) = re.findall(r'^get-url = "(.*)"$', shipped, re.MULTILINE)
    asked = get_url.replace("http://127.0.0.1:8315", relay.url).replace("CHANGE-ME-secret", secret)
    config = folder / "kannel.conf"
    config.write_text(
        adapt(
            shipped,
            {
                ("core", "admin-port"): str(admin),
                ("core", "admin-password"): "admin-password-of-the-test",
                ("core", "smsbox-port"): str(boxes),
                ("core", "log-file"): f'"{folder / "bearerbox.log"}"',
                ("smsc", "port"): str(centre),
                ("smsbox", "sendsms-port"): str(send),
                ("smsbox", "log-file"): f'"{folder / "smsbox.log"}"',
                ("smsbox", "http-queue-delay"): "1",
                ("sms-service", "get-url"): f'"{asked}"',
                ("sendsms-user", "username"): SEND_USER,
                ("sendsms-user", "password"): SEND_PASSWORD,
            },
        ),
        encoding="utf-8",
    )
    status = f"http://127.0.0.1:{admin}/status.txt?password=admin-password-of-the-test"
    with _box("bearerbox", config) as bearerbox:
        _wait_until(lambda: "running" in _read(status), bearerbox, config)
        with _box("smsbox", config) as smsbox:
            _wait_until(lambda: "smsbox:" in _read(status), smsbox, config)
            yield Kannel(centre_port=centre, send_port=send, relay=relay)


@contextmanager
def _box(name: str, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = find_program(name)
    assert program is not None, REMEDY
    with (config.parent / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(
            [program, str(config)],
            cwd=config.parent,
            env=os.environ | {"TZ": "Asia/Shanghai"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_S)


def _read(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes], config: Path) -> None:
    """Ask until ``true()`` holds; the attempts are bounded, and end with the process."""
    for _ in range(PATIENCE_S * 20):
        if true():
            return
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        break
    told = "\n".join(path.read_text(errors="replace") for path in sorted(config.parent.glob("*.out")))
    raise AssertionError(f"Kannel did not start:\n{told}")
