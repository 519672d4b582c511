"""A served instance with an official account and a mini-program, their platform on loopback, and its deliveries."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout

from channels.wechat.crypto import MessageKeys
from channels.wechat.settings import Account, AccountKind
from channels.wechat.signatures import sign
from channels.wechat.simulate import Answer, Message, Webhook, read_answer, signed_webhook, text_message
from tests.acceptance.cli.shell import PATIENCE_S, ROOT, Server, Shell
from tests.fakes.ports import free_port
from tests.fakes.wechat_platform import WechatPlatform
from tests.run_delay import run_delay_s

KEY: Final = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TOKEN: Final = "TokenOfTheConsole"
SECRET: Final = "SecretOfTheConsole"
APP_ID: Final = "wx0123456789abcdef"
PROGRAM_ID: Final = "wxfedcba9876543210"
TEMPLATE: Final = "TemplateOfRecalls"
LABELS: Final = 60
_READ: Final = "SELECT count(*) FROM verification"
OFFICIAL: Final = Account(
    name=AccountKind.OFFICIAL_ACCOUNT.value,
    kind=AccountKind.OFFICIAL_ACCOUNT,
    tokens=(TOKEN,),
    app_id=APP_ID,
    app_secret=SECRET,
    aes_keys=(KEY,),
)
PROGRAM: Final = Account(
    name=AccountKind.MINI_PROGRAM.value,
    kind=AccountKind.MINI_PROGRAM,
    tokens=(TOKEN,),
    app_id=PROGRAM_ID,
    app_secret=SECRET,
    aes_keys=(KEY,),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One delivery: the status, what the platform reads in it, and how long it waited for it.

    ``took_s`` is without the time for which this machine let the service and the platform wait for a core.
    """

    status: int
    answer: Answer | None
    took_s: float
    lasted_s: float


class Folder:
    """A data folder with one batch of activated labels; ``log`` holds what every server on it wrote."""

    def __init__(self, folder: Path) -> None:
        self.shell = Shell(folder / "data")
        self.log = folder / "server.log"
        self.shell.run("init")
        brand = self.shell.json("brand", "add", "--name", "青禾", "--name-en", "Qinghe")["id"]
        product = self.shell.json(
            "product", "add", "--brand", brand, "--name", "奶粉", "--name-en", "Formula"
        )
        self.batch: int = self.shell.json("batch", "issue", "--product", product["id"], "--quantity", LABELS)[
            "id"
        ]
        self.shell.run("batch", "activate", self.batch)
        labels = folder / "labels.csv"
        self.shell.run("batch", "export", self.batch, "--out", labels)
        with labels.open(newline="") as file:
            self.codes = [row["code"] for row in csv.DictReader(file)]

    @property
    def database(self) -> Path:
        return self.shell.folder / "yanzhen.db"

    def read(self, sql: str, *fields: object) -> list[Any]:
        with closing(sqlite3.connect(self.database)) as db:
            return db.execute(sql, fields).fetchall()

    def recorded(self) -> int:
        """How many queries stand in the record."""
        return int(self.read(_READ)[0][0])

    def end_leases(self) -> None:
        """Let the time pass after which replies are tried again."""
        with closing(sqlite3.connect(self.database)) as db, db:
            db.execute("UPDATE reply SET due_at = 0 WHERE state IN ('sending', 'waiting')")

    def octets(self) -> bytes:
        """Everything in the data folder that is the record's."""
        files = [path for path in self.shell.folder.iterdir() if path.name.startswith("yanzhen.db")]
        return b"".join(path.read_bytes() for path in files)

    @contextmanager
    def nobody_writing(self) -> Iterator[None]:
        """Hold the write lock of the record meanwhile, as a slow disk or another process does."""
        with closing(sqlite3.connect(self.database, timeout=10.0, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield
            holder.execute("ROLLBACK")


@dataclass(slots=True, kw_only=True)
class ChatSite:
    """The service, the platform it calls, and a client that plays the platform's deliveries."""

    folder: Folder
    platform: WechatPlatform
    client: ClientSession
    server: Server
    _dice: Random = field(default_factory=lambda: Random(5))

    def webhook(self, account: Account, message: Message, *, sent_at: int | None = None) -> Webhook:
        """Return one delivery of ``message``: every one is signed anew."""
        return signed_webhook(
            account,
            message,
            sent_at=int(time.time()) if sent_at is None else sent_at,
            nonce=str(self._dice.randrange(10**9)),
            as_json=account.kind is AccountKind.MINI_PROGRAM,
        )

    def sealed(self, account: Account, body: str, *, openid: str) -> Webhook:
        """Return a delivery, signed and sealed as it should be, of whatever ``body`` is."""
        timestamp, nonce = str(int(time.time())), str(self._dice.randrange(10**9))
        encrypted = MessageKeys(account.aes_keys, account.app_id, account=account.name).seal(body)
        query = {"timestamp": timestamp, "nonce": nonce, "openid": openid, "encrypt_type": "aes"}
        query["msg_signature"] = sign(TOKEN, timestamp, nonce, encrypted)
        return Webhook(query=query, headers={}, body=f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode())

    async def bring(self, account: Account, webhook: Webhook) -> Delivered:
        """Deliver it and read the answer as the platform does."""
        started, delayed_s = time.monotonic(), self._delayed_s()
        async with self.client.post(
            webhook.address(self.server.url, account), data=webhook.body, headers=webhook.headers
        ) as response:
            body = await response.read()
        answer = read_answer(account, body) if response.status == 200 else None
        lasted_s, delayed_s = time.monotonic() - started, self._delayed_s() - delayed_s
        return Delivered(
            status=response.status, answer=answer, took_s=lasted_s - delayed_s, lasted_s=lasted_s
        )

    def _delayed_s(self) -> float:
        return run_delay_s() + run_delay_s(self.server.process.pid)

    async def text(self, account: Account, text: str, *, openid: str, message_id: int) -> Delivered:
        """Deliver a text that somebody wrote; the platform knows then that they are there."""
        self.platform.hear_from(openid, account.app_id)
        message = text_message(text, openid=openid, message_id=message_id, created_at=int(time.time()))
        return await self.bring(account, self.webhook(account, message))

    def kill(self) -> None:
        """End the service without a word."""
        os.kill(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait(PATIENCE_S)

    async def until_sent(self, count: int) -> None:
        """Wait until the platform has taken ``count`` messages in all."""
        async with asyncio.timeout(PATIENCE_S):
            await self.platform.until_sent(count)


@asynccontextmanager
async def served(folder: Folder, platform: WechatPlatform, **more: str) -> AsyncIterator[ChatSite]:
    """Run the service until the block ends; one that kills it leaves nothing to stop. ``more`` are settings by their
    names in the environment.
    """
    port = free_port()
    settings = {
        "YANZHEN_CHANNELS": "web,wechat",
        "YANZHEN_DRAIN_SECONDS": "5",
        "YANZHEN_WECHAT__API_BASE": platform.url,
        "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__TOKEN": TOKEN,
        "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__APP_ID": APP_ID,
        "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__APP_SECRET": SECRET,
        "YANZHEN_WECHAT__OFFICIAL_ACCOUNT__ENCODING_AES_KEY": KEY,
        "YANZHEN_WECHAT__MINI_PROGRAM__TOKEN": TOKEN,
        "YANZHEN_WECHAT__MINI_PROGRAM__APP_ID": PROGRAM_ID,
        "YANZHEN_WECHAT__MINI_PROGRAM__APP_SECRET": SECRET,
        "YANZHEN_WECHAT__MINI_PROGRAM__ENCODING_AES_KEY": KEY,
        "YANZHEN_WECHAT__MINI_PROGRAM__RECALL_TEMPLATE": TEMPLATE,
        **more,
    }
    async with AsyncExitStack() as stack:
        output = stack.enter_context(folder.log.open("ab"))
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--port", str(port)],
            cwd=ROOT,
            env=folder.shell.environment | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        stack.push_async_callback(_stop, process)
        server = Server(process=process, url=f"http://127.0.0.1:{port}", log=folder.log)
        await asyncio.to_thread(server.wait_until_it_answers)
        client = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=PATIENCE_S)))
        yield ChatSite(folder=folder, platform=platform, client=client, server=server)


async def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, PATIENCE_S)
