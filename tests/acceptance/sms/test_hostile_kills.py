"""The service killed again and again while it pushes replies through a provider: none is lost, none is told thrice.

A mixed run stands before it, so that the files and the log can be searched for what must not be there.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.acceptance.cli.shell import ROOT, Server, Shell
from tests.fakes.ports import free_port
from tests.fakes.twilio_rest_server import Fault, Message, TwilioRestServer

TOKEN = "0123456789abcdef0123456789abcdef"
SECRET = "secret-of-the-killed-service"
ACCOUNT = "AC" + "7" * 32
OURS = "+15005550006"
TEXTS = 30  # fewer than the courier carries at once
BATCH = 6
KILLS = 4
_PATIENCE_S = 60


class Provider(TwilioRestServer):
    """Tells of every message it takes."""

    def __init__(self) -> None:
        super().__init__(ACCOUNT, (TOKEN,), datetime.now(UTC))
        self.news = asyncio.Event()

    def add(self, *, to: str, ours: str, body: str, **more: object) -> Message:
        message = super().add(to=to, ours=ours, body=body, **more)
        message.sid = f"SM{len(self.messages):032x}"
        self.news.set()
        return message

    async def until(self, count: int) -> None:
        """Wait until ``count`` messages are taken, copies included."""
        async with asyncio.timeout(_PATIENCE_S):
            while len(self.messages) < count:
                self.news.clear()
                await self.news.wait()

    @property
    def reached(self) -> int:
        """How many different numbers have got a message."""
        return len({message.to for message in self.messages})

    async def until_reached(self, count: int) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while self.reached < count:
                self.news.clear()
                await self.news.wait()


@dataclass
class Lives:
    """One service after the other on the same files."""

    shell: Shell
    provider_url: str
    log: Path
    codes: list[str] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[Server]:
        """Run the service until the block ends; a block that kills it leaves nothing to stop."""
        port = free_port()
        settings = {
            "YANZHEN_CHANNELS": "web,sms",
            "YANZHEN_DRAIN_SECONDS": "5",
            "YANZHEN_SMS__TWILIO__AUTH_TOKENS": TOKEN,
            "YANZHEN_SMS__TWILIO__ACCOUNT_SID": ACCOUNT,
            "YANZHEN_SMS__TWILIO__API_URL": self.provider_url,
            "YANZHEN_SMS__GATEWAY__FILES": "alibaba",
            "YANZHEN_SMS__GATEWAY__SECRETS": SECRET,
            "YANZHEN_SMS__GATEWAY__REPLY_BY": "twilio",
        }
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--port", str(port)],
                cwd=ROOT,
                env=self.shell.environment | settings,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            server = Server(process=process, url=f"http://127.0.0.1:{port}", log=self.log)
            try:
                server.wait_until_it_answers()
                yield server
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                process.wait(_PATIENCE_S)

    def end_leases(self) -> None:
        """Let the time pass after which replies are tried again."""
        with closing(sqlite3.connect(self.shell.folder / "yanzhen.db")) as db, db:
            db.execute("UPDATE reply SET due_at = 0 WHERE state IN ('sending', 'waiting')")

    def states(self) -> Counter[str]:
        with closing(sqlite3.connect(self.shell.folder / "yanzhen.db")) as db:
            return Counter(row[0] for row in db.execute("SELECT state FROM reply"))

    def octets(self) -> bytes:
        """Everything in the data folder but the key file."""
        files = [path for path in self.shell.folder.iterdir() if path.name.startswith("yanzhen.db")]
        return b"".join(path.read_bytes() for path in files)


def bring(server: Server, items: list[dict[str, str]]) -> bool:
    """Deliver as the gateway does; False asks for another delivery."""
    request = urllib.request.Request(
        f"{server.url}/channels/sms/gateway/alibaba/{SECRET}",
        json.dumps(items).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def texts(codes: list[str]) -> list[dict[str, str]]:
    moment = datetime.now(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M:%S")
    return [
        {
            "phone_number": f"13800138{place:03}",
            "content": f"真的吗 {code}",
            "send_time": moment,
            "dest_code": OURS,
            "sequence_id": str(place),
        }
        for place, code in enumerate(codes)
    ]


def prepare(folder: Path) -> tuple[Shell, list[str]]:
    shell = Shell(folder / "data")
    shell.run("init")
    brand = shell.json("brand", "add", "--name", "青禾", "--name-en", "Qinghe")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉", "--name-en", "Formula")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", TEXTS)["id"]
    shell.run("batch", "activate", batch)
    labels = folder / "labels.csv"
    shell.run("batch", "export", batch, "--out", labels)
    with labels.open(newline="") as file:
        return shell, [row["code"] for row in csv.DictReader(file)]


async def test_killed_while_pushing_nothing_is_lost_and_little_is_doubled(tmp_path: Path) -> None:
    shell, codes = await asyncio.to_thread(prepare, tmp_path)
    provider = Provider()
    async with provider.running():
        lives = Lives(shell=shell, provider_url=provider.url, log=tmp_path / "server.log")
        waiting, left_unknown = texts(codes), 0
        for _ in range(KILLS):
            # some are taken while the answer never comes or is lost, so that the killed service cannot know
            provider.faults = [Fault.HANG, Fault.CLOSE_AFTER, Fault.HANG, Fault.CUT]
            lives.end_leases()
            before = len(provider.messages)
            with lives.one() as server:
                if await asyncio.to_thread(bring, server, waiting[:BATCH]):
                    waiting = waiting[BATCH:]
                await provider.until(before + 3)
                os.kill(server.process.pid, signal.SIGKILL)
            left_unknown += lives.states()["sending"]
        provider.faults = []
        assert left_unknown, "some lives ended with tries of unknown result"
        lives.end_leases()
        with lives.one() as server:
            while waiting:
                assert await asyncio.to_thread(bring, server, waiting[:BATCH])
                waiting = waiting[BATCH:]
            await provider.until_reached(TEXTS)
            async with asyncio.timeout(_PATIENCE_S):  # of a life that was killed one may still be looked for
                while lives.states() != Counter(sent=TEXTS):
                    await asyncio.to_thread(server.get, "/livez")
            metrics = (await asyncio.to_thread(server.get, "/metrics"))[1]
        assert lives.states() == Counter(sent=TEXTS)
    per_number = Counter(message.to for message in provider.messages)
    assert len(per_number) == TEXTS, "every text has its reply"
    assert max(per_number.values()) <= 2, "one duplicate at most"
    assert all("青禾" in message.body and "首次" in message.body for message in provider.messages)
    _search(lives, codes, metrics)


def _search(lives: Lives, codes: list[str], metrics: str) -> None:
    """Nothing that belongs to a shopper or opens a door stands in the files, the log or the numbers."""
    log = lives.log.read_bytes()
    for name, octets in (("files", lives.octets()), ("log", log), ("metrics", metrics.encode())):
        for place, code in enumerate(codes):
            number = f"13800138{place:03}".encode()
            assert number not in octets, f"a number in the {name}"
            assert code.encode() not in octets, f"a code in the {name}"
        for secret in (TOKEN, SECRET, "真的吗", "举报", "首次查询"):
            assert secret.encode() not in octets, f"{secret} in the {name}"
