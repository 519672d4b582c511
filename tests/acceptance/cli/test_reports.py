"""What people reported is read from the command line, with the key file and without."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from app.adapters.sealing import AesGcmSealing
from app.adapters.storage.sqlite import open_sqlite
from app.cli.exits import Exit
from app.core.model.verdict import VerificationId
from app.issuing.key_file import KeyFile
from app.issuing.keyring import SecretName
from tests.acceptance.cli.conftest import Stock
from tests.acceptance.cli.shell import Shell
from tests.fakes.clock import START

WORDS = "封口像是被打开过\n\x1b[2J\x9b\u202egenuine"
SHOWN = r"封口像是被打开过\n\x1b[2J\x9b\u202egenuine"
DAY = timedelta(days=1)


async def _keep(shell: Shell, verification: VerificationId) -> None:
    """Keep three reports, a day apart, as a service on this folder does."""
    ring = KeyFile(shell.folder / "keys.json").load()
    storage = await open_sqlite(shell.folder / "yanzhen.db")
    reports = storage.reports(AesGcmSealing({1: ring.secret(SecretName.MESSAGE).key}))
    said = (
        {"channel": "ivr", "account": "twilio", "recording": "RE0123"},
        {"channel": "wechat", "account": "mini-program", "words": WORDS, "verification_id": verification},
        {"channel": "wechat", "account": "mini-program", "words": "unsealed"},
    )
    try:
        for number, facts in enumerate(said):
            await reports.keep(**facts, message_key=bytes([number]) * 16, at=START + number * DAY)
    finally:
        await storage.close()


@pytest.fixture
def checked(stock: Stock) -> VerificationId:
    """A label that was checked and reported about."""
    stock.shell.run("verify", stock.codes[3])
    with closing(sqlite3.connect(stock.shell.folder / "yanzhen.db")) as db:
        (number,) = db.execute("SELECT max(id) FROM verification").fetchone()
    asyncio.run(_keep(stock.shell, number))
    return VerificationId(number)


def test_what_was_reported_is_read(stock: Stock, checked: VerificationId) -> None:
    newest, written, recorded = stock.shell.json("report", "list")
    assert newest["words"] == "unsealed"
    assert newest["verification"] is newest["serial"] is newest["brand"] is None
    del written["id"]
    assert written == {
        "at": (START + DAY).isoformat().replace("+00:00", "Z"),
        "channel": "wechat",
        "account": "mini-program",
        "verification": checked,
        "serial": stock.serials[3],
        "batch": stock.batch,
        "brand": {"id": stock.brand, "name": "青禾"},
        "product": {"id": stock.product, "name": "奶粉"},
        "words": WORDS,
        "recording": None,
        "unreadable": False,
        "gone": False,
    }
    assert (recorded["recording"], recorded["words"]) == ("RE0123", None)

    shown = stock.shell.run("report", "list")
    header, *rows = shown.stdout.splitlines()
    assert header.split("  ")[0] == "TIME (UTC)"
    assert [row.rpartition("  ")[2] for row in rows] == ["unsealed", SHOWN, "(recording at twilio: RE0123)"]
    assert f"{START + DAY:%Y-%m-%d %H:%M}  wechat mini-program" in rows[1]
    assert "青禾" in rows[1]
    assert stock.codes[3] not in shown.stdout
    assert shown.stderr == ""


def test_as_much_is_read_as_is_asked_for(stock: Stock, checked: VerificationId) -> None:
    assert checked
    for words, count in (
        (("--limit", 1), 1),
        (("--since", f"{START + 2 * DAY:%Y-%m-%d}"), 1),
        (("--since", (START + DAY).isoformat()), 2),
        (("--since", "2999-01-01"), 0),
    ):
        assert len(stock.shell.json("report", "list", *words)) == count
    for words in (("--limit", 0), ("--limit", 10**6), ("--since", "lately")):
        stock.shell.run("report", "list", *words, expect=Exit.USAGE)


def test_without_the_keys_the_rest_is_read_and_the_trouble_told(
    stock: Stock, checked: VerificationId
) -> None:
    path = stock.shell.folder / "keys.json"

    def of_another_database() -> None:
        path.unlink()
        KeyFile(path).create(now=START)

    for spoil in (of_another_database, lambda: path.write_text("{"), path.unlink):
        spoil()
        said = stock.shell.run("report", "list")
        rows = [row.rpartition("  ")[2] for row in said.stdout.splitlines()[1:]]
        assert rows == ["(sealed: the key file does not open it)"] * 2 + ["(recording at twilio: RE0123)"]
        assert str(path) in said.stderr
    read = stock.shell.json("report", "list")
    told = [(report["unreadable"], report["words"]) for report in read]
    assert told == [(True, None), (True, None), (False, None)]
    assert read[1]["verification"] == checked
