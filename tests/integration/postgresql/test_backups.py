"""Backup and restore of a PostgreSQL database through the commands, beside writers, into an empty database or none."""

import asyncio
import json
import shutil
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.adapters.storage.backups import Census, Manifest, seal
from app.adapters.storage.postgresql import spread_postgresql
from app.cli.exits import Exit
from tests.acceptance.cli.shell import Said, Shell
from tests.fakes.postgres_server import PostgresServer
from tests.integration.postgresql.prepared import create


@dataclass(frozen=True)
class SharedShell(Shell):
    """A shell whose record is in a database of the server."""

    url: str = ""

    def run(self, *words: object, expect: int = 0) -> Said:
        return Shell.run(self, *words, "--set", f"database_url={self.url}", expect=expect)

    def ask(self, sql: str) -> list[Any]:
        async def asked() -> list[Any]:
            connection: Any = await asyncpg.connect(self.url)
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return asyncio.run(asked())


@dataclass(frozen=True)
class Recorded:
    """A database with facts of several labels, of several months, and a backup of it."""

    shell: SharedShell
    codes: list[str]
    backup: Path
    server: PostgresServer

    def elsewhere(self, folder: Path) -> SharedShell:
        """Return a shell on another machine that got the key file, with an empty database."""
        shell = SharedShell(
            folder / "elsewhere", url=self.server.socket_url(asyncio.run(create(self.server)))
        )
        shell.folder.mkdir(mode=0o700)
        shutil.copy2(self.shell.folder / "keys.json", shell.folder)
        return shell

    def altered(self, folder: Path, table: str, change: Callable[[str], str]) -> Path:
        """Return the backup with one table changed before it was sealed."""
        parts = folder / "parts"
        parts.mkdir()
        with zipfile.ZipFile(self.backup) as archive:
            archive.extractall(parts)
        said = json.loads((parts / "manifest.json").read_text())
        (parts / "manifest.json").unlink()
        path = parts / f"{table}.csv"
        path.write_text(change(path.read_text()))
        census = Census(schema=tuple(said["schema"]), rows=said["rows"])
        manifest = Manifest(store=said["store"], created_at=said["created_at"], program="1", census=census)
        seal(parts, manifest, folder / "altered.zip")
        return folder / "altered.zip"


@pytest.fixture(scope="module")
def recorded(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("backups")
    shell = SharedShell(folder / "data", url=server.socket_url(asyncio.run(create(server))))
    shell.run("init")
    brand = shell.json("brand", "add", "--name", '青禾, "与" 田', "--service-line", "400-800-1234")["id"]
    product = shell.json("product", "add", "--brand", brand, "--name", "奶粉", "--thresholds", "1,4")["id"]
    batch = shell.json("batch", "issue", "--product", product, "--quantity", 10)["id"]
    labels = folder / "labels.csv"
    shell.run("batch", "export", batch, "--out", labels)
    codes = [line.split(",")[1] for line in labels.read_text().splitlines()[1:]]
    shell.run("batch", "activate", batch)
    for place in (0, 0, 0, 1, 1, 2):
        shell.run("verify", codes[place])
    shell.ask(  # as if two months ago, so that a partition is needed that no migration makes today
        "UPDATE verification SET at = at - 61 * 86400 * 1000000::bigint WHERE ordinal = 1"
    )
    backup = folder / "first.zip"
    shell.run("backup", "--out", backup)
    return Recorded(shell=shell, codes=codes, backup=backup, server=server)


def everything(shell: SharedShell) -> dict[str, list[Any]]:
    tables = shell.ask(
        "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition ORDER BY 1"
    )
    return {name: sorted(shell.ask(f'SELECT t::text FROM "{name}" AS t')) for (name,) in tables}


def test_what_was_recorded_comes_back(recorded: Recorded, tmp_path: Path) -> None:
    other = recorded.elsewhere(tmp_path)
    before = everything(recorded.shell)
    done = other.json("restore", recorded.backup, "--verify")
    assert (done["ok"], done["restored"]) == (True, True)
    assert [check["check"] for check in done["checks"]] == [
        "file",
        "schema",
        "counts",
        "ordinals",
        "states",
        "keys",
    ]
    assert everything(other) == before
    assert other.ask("SELECT * FROM verification_other") == []
    answer = other.json("verify", recorded.codes[0])
    assert (answer["outcome"], answer["ordinal"]) == ("repeat", 4)
    assert other.json("verify", recorded.codes[5])["outcome"] == "first"
    # numbers go on where they were: a new row never takes the id of an old one
    newest = max(row[0] for row in other.ask("SELECT id FROM verification"))
    assert newest > max(row[0] for row in recorded.shell.ask("SELECT id FROM verification"))
    other.run("brand", "add", "--name", "乙", "--service-line", "400-800-1234")


def test_a_database_that_was_spread_first_is_filled_as_it_stands(recorded: Recorded, tmp_path: Path) -> None:
    other = recorded.elsewhere(tmp_path)
    other.run("db", "upgrade")
    asyncio.run(spread_postgresql(other.url, ways=4))
    other.run("restore", recorded.backup)
    parts = [f"label_history_{part:03d}" for part in range(4)]
    assert sum(len(other.ask(f"SELECT serial FROM {part}")) for part in parts) == 3
    assert everything(other) == everything(recorded.shell)


def test_a_database_with_anything_in_it_is_left_alone(recorded: Recorded) -> None:
    before = everything(recorded.shell)
    said = recorded.shell.run("restore", recorded.backup, expect=Exit.REFUSED)
    assert "left alone" in said.stderr
    assert everything(recorded.shell) == before
    assert recorded.shell.json("restore", recorded.backup, "--verify-only")["ok"]


def test_no_secret_of_the_address_and_no_key_is_in_it(recorded: Recorded) -> None:
    keys = (recorded.shell.folder / "keys.json").read_text()
    with zipfile.ZipFile(recorded.backup) as archive:
        held = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert json.loads(keys)["permutation"]["20"] not in held
    assert recorded.shell.url not in held


def test_beside_writers_it_is_of_one_moment(recorded: Recorded, tmp_path: Path) -> None:
    other = recorded.elsewhere(tmp_path)
    other.run("restore", recorded.backup)
    with (
        other.serving(
            "serve", "--set", f"database_url={other.url}", "--set", "throttle.enabled=false"
        ) as server,
        ThreadPoolExecutor(4) as crowd,
    ):
        asked = [crowd.submit(server.verify, recorded.codes[number % 3]) for number in range(200)]
        asked[20].result()
        made = other.json("backup", "--out", tmp_path / "beside.zip")["rows"]["verification"]
        assert [answer.result()[0] for answer in asked] == [200] * 200
    assert 20 < made <= 206
    assert other.json("restore", tmp_path / "beside.zip", "--verify-only")["ok"]


FAULTS = {
    "a fact lost": ("counts", "verification", lambda text: text[: text.rstrip().rindex("\n") + 1]),
    "a gap": ("ordinals", "verification", lambda text: text.replace(",3,", ",7,")),
    "a state ahead": ("states", "label_history", lambda text: text.replace(",3,", ",9,")),
    "a state lost": ("states", "label_history", lambda text: text[: text.rstrip().rindex("\n") + 1]),
    "a key of others": ("keys", "key_check", lambda text: text[:-5] + "xxxx\n"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_verify_finds_what_a_checksum_cannot(recorded: Recorded, tmp_path: Path, fault: str) -> None:
    check, table, change = FAULTS[fault]
    bad = recorded.altered(tmp_path, table, change)
    run = recorded.shell.run("restore", bad, "--verify-only", "--json", expect=Exit.REFUSED)
    assert check in [seen["check"] for seen in json.loads(run.stdout)["checks"] if not seen["ok"]]


def test_what_does_not_fit_the_tables_leaves_them_empty(recorded: Recorded, tmp_path: Path) -> None:
    bad, other = (
        recorded.altered(tmp_path, "batch", lambda text: text.replace("/q/", "/q/,")),
        recorded.elsewhere(tmp_path),
    )
    other.run("restore", bad, expect=Exit.UNAVAILABLE)
    assert other.ask("SELECT * FROM brand") == []
    other.run("restore", recorded.backup)


def test_another_release_and_another_store_are_refused(recorded: Recorded, tmp_path: Path) -> None:
    newer = recorded.altered(tmp_path, "migration", lambda text: text + "9999,x,x\n")
    other = recorded.elsewhere(tmp_path)
    assert "another release" in other.run("restore", newer, expect=Exit.UNAVAILABLE).stderr
    file = Shell(tmp_path / "file")
    said = file.run("restore", recorded.backup, expect=Exit.UNAVAILABLE)
    assert "postgresql" in said.stderr
    assert not (file.folder / "yanzhen.db").exists()
